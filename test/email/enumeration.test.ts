import assert from 'node:assert/strict'
import { it } from 'node:test'
import { onEachDatabase, PASSWORD, type Reply, type TestServer } from '../kit.ts'
import { post, startMailing } from '../support/mails.ts'
import { shareMailServer } from '../support/smtp.ts'

const ENV = { REQUIRE_EMAIL_VERIFICATION: 'true', MAGIC_LINKS: 'true' }

/** What differs from request to request by itself. */
const VARYING = ['x-request-id', 'date', 'ratelimit', 'set-cookie']

function shown({ status, headers, body }: Reply) {
  const rest = Object.entries(headers).map(([name, value]) => [
    name,
    VARYING.includes(name) ? 'varies' : value,
  ])
  const { request_token, request_id: _, ...said } = body
  return { status, headers: Object.fromEntries(rest), said, length: String(request_token ?? '').length }
}

onEachDatabase('nobody learns who has an account', ({ start }) => {
  const mails = shareMailServer()

  const startWithKnown = async () => {
    const { server } = await startMailing(start, mails())
    await server.register({ username: 'known' })
    await server.restart({ email: (await startMailing(start, mails(), ENV)).server.settings.email })
    return server
  }

  const WAYS: [string, (server: TestServer, email: string, count: number) => Promise<Reply>][] = [
    ['forgot-password', (server, email) => post(server, '/auth/forgot-password', { email })],
    ['verify-email/resend', (server, email) => post(server, '/auth/verify-email/resend', { email })],
    ['sign-in-link', (server, email) => post(server, '/auth/sign-in-link', { email })],
    [
      'sign-in-link as a cookie',
      (server, email) => post(server, '/auth/sign-in-link?transport=cookie', { email }),
    ],
    [
      'register',
      (server, email, count) =>
        post(server, '/auth/register', { username: `person-${count}`, email, password: PASSWORD }),
    ],
    ['a wrong code', (server, email) => post(server, '/auth/verify-email', { email, code: '123456' })],
  ]

  for (const [name, ask] of WAYS) {
    it(`[V6.3.8] ${name}: status, body and headers are the same`, async () => {
      const server = await startWithKnown()
      const known = shown(await ask(server, 'known@example.com', 1))
      const unknown = shown(await ask(server, 'nobody@example.com', 2))
      assert.deepEqual(known, unknown)
      const rows = await server.context.db.selectFrom('outbox').select(['kind', 'recipient']).execute()
      // One row each, whether or not somebody reads it.
      if (name !== 'a wrong code') assert.equal(rows.length - 1, 2, JSON.stringify(rows))
    })
  }

  it('who registers with a known address: its owner is told, and nothing that comes of it signs anybody in', async () => {
    const server = await startWithKnown()
    const json = { username: 'mallory', email: 'known@example.com', password: PASSWORD }
    assert.equal((await post(server, '/auth/register', json)).status, 202)
    const kinds = await server.context.db.selectFrom('outbox').select('kind').orderBy('id').execute()
    assert.deepEqual(kinds.at(-1), { kind: 'already_registered' })
    for (const username of ['mallory', 'known@example.com']) {
      const reply = await post(server, '/auth/login', { username, password: `${PASSWORD}.` })
      assert.deepEqual([reply.status, reply.body.code], [401, 'invalid_credentials'])
    }
  })

  it('nor by signing in with the address that one has registered with', async () => {
    const server = await startWithKnown()
    for (const [username, email] of [
      ['mallory', 'known@example.com'],
      ['mallet', 'nobody@example.com'],
    ] as const) {
      const password = 'mallory knows this one'
      assert.equal((await post(server, '/auth/register', { username, email, password })).status, 202)
      const byAddress = await post(server, '/auth/login', { username: email, password })
      assert.deepEqual([byAddress.status, byAddress.body.code], [401, 'invalid_credentials'])
      const queued = () =>
        server.context.db.selectFrom('outbox').select(['kind', 'recipient']).orderBy('id').execute()
      const before = await queued()
      const byName = await post(server, '/auth/login', { username, password })
      assert.deepEqual([byName.status, byName.body.code], [403, 'email_not_verified'])
      // The one is sent its mail again; for the other there is as much, and nobody gets it.
      const recipient = username === 'mallory' ? null : email
      assert.deepEqual(await queued(), [...before, { kind: 'confirm_registration', recipient }])
    }
  })
})
