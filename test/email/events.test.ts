import assert from 'node:assert/strict'
import { it } from 'node:test'
import { throttledName } from '../../src/features/passwords/throttle.ts'
import { API, onEachDatabase, PASSWORD, type TestServer } from '../kit.ts'
import { guess, startLimited } from '../support/guesses.ts'
import { deliverOne, type Mailing, post, proofIn, registerVerified, startMailing } from '../support/mails.ts'
import { shareMailServer } from '../support/smtp.ts'

const NEW_PASSWORD = 'another horse battery staple'
const REDEEM = '/auth/sign-in-link/redeem'

type Told = { type: string; actor: string; isHers: boolean; [detail: string]: unknown }

/** What has been written down of these types, in their order. */
async function eventsOf({ context }: TestServer, ...types: string[]): Promise<Told[]> {
  const ada = await context.db
    .selectFrom('users')
    .select('id')
    .where('username', '=', 'ada')
    .executeTakeFirst()
  const rows = await context.db
    .selectFrom('audit_events')
    .select(['type', 'actor', 'user_id', 'detail'])
    .where('type', 'in', types)
    .orderBy('id')
    .execute()
  return rows.map(({ type, actor, user_id, detail }) => {
    const isHers = user_id !== null && user_id === ada?.id
    return { type, actor, isHers, ...JSON.parse(detail ?? '{}') }
  })
}

const another = (code: string): string => (code === '123456' ? '654321' : '123456')

onEachDatabase('what is written down of mails', ({ start }) => {
  const mails = shareMailServer()
  const startWith = (begin = start) => startMailing(begin, mails(), { MAGIC_LINKS: 'true' })
  const askForLink = async (mailing: Mailing, email: string) => {
    const { body } = await post(mailing.server, '/auth/sign-in-link', { email })
    return { request_token: body.request_token, ...proofIn(await deliverOne(mailing, email)) }
  }

  it('[V16.3.1] sign-ins by mail: who asked, with and without an account, and each that failed, with why', async () => {
    const mailing = await startWith()
    const { server } = mailing
    const { email } = await registerVerified(mailing)
    const { request_token, token, code } = await askForLink(mailing, email)
    await post(server, '/auth/sign-in-link', { email: 'nobody@example.com' })
    const redeem = async (proof: object, status: number) =>
      assert.equal((await post(server, REDEEM, { request_token, ...proof })).status, status)
    await redeem({ email, code: another(code) }, 400)
    await redeem({ email: 'nobody@example.com', code }, 400)
    await redeem({ token, request_token: 'of another client' }, 400)
    await redeem({ token: 'made-up' }, 400)
    await redeem({ token }, 200)
    await redeem({ token }, 400)
    const { request_token: later, token: last } = await askForLink(mailing, email)
    await server.context.db.updateTable('users').set({ is_active: false }).execute()
    await redeem({ request_token: later, token: last }, 400)

    const asked = { type: 'user.sign_in_link_requested', actor: 'anonymous' }
    const failed = { type: 'user.sign_in_failed', actor: 'anonymous', method: 'email' }
    assert.deepEqual(
      await eventsOf(server, 'user.sign_in_link_requested', 'user.signed_in', 'user.sign_in_failed'),
      [
        { ...asked, isHers: true },
        { ...asked, isHers: false },
        { ...failed, isHers: true, reason: 'email_token_invalid' },
        { ...failed, isHers: false, reason: 'email_token_invalid' },
        { ...failed, isHers: true, reason: 'email_token_elsewhere' },
        { ...failed, isHers: false, reason: 'email_token_invalid' },
        { type: 'user.signed_in', actor: 'user', isHers: true, method: 'email' },
        { ...failed, isHers: true, reason: 'email_token_used' },
        { ...asked, isHers: true },
        { ...failed, isHers: true, reason: 'inactive' },
      ],
    )
  })

  it('[V16.3.1] links and codes that are none: for which purpose, and of whom as far as anybody was sent one', async () => {
    const mailing = await startWith()
    const { server } = mailing
    const { email } = await registerVerified(mailing)
    await post(server, '/auth/forgot-password', { email })
    const { code } = proofIn(await deliverOne(mailing, email))
    const reset = { code: another(code), new_password: NEW_PASSWORD }
    await post(server, '/auth/reset-password', { ...reset, email })
    await post(server, '/auth/reset-password', { ...reset, email: 'nobody@example.com' })
    await post(server, '/auth/verify-email', { token: 'made-up' })
    await post(server, '/auth/undo-email-change', { token: 'made-up' })
    const failed = {
      type: 'user.email_proof_failed',
      actor: 'anonymous',
      isHers: false,
      reason: 'email_token_invalid',
    }
    assert.deepEqual(await eventsOf(server, failed.type), [
      { ...failed, isHers: true, purpose: 'reset_password' },
      { ...failed, purpose: 'reset_password' },
      { ...failed, purpose: 'register verify_email change_email' },
      { ...failed, purpose: 'undo_email_change' },
    ])
  })

  it('the first sign-in by mail verifies the address and removes the password; a new password verifies it as well', async () => {
    const mailing = await startWith()
    const { server } = mailing
    const types = ['user.email_verified', 'user.password_removed', 'user.password_reset'] as const
    const hers = { actor: 'user', isHers: true }
    const { email } = await server.register({ username: 'ada' })
    await mailing.deliver()
    const { request_token, token } = await askForLink(mailing, email)
    assert.equal((await post(server, REDEEM, { request_token, token })).status, 200)
    const first = [
      { type: 'user.email_verified', ...hers },
      { type: 'user.password_removed', ...hers },
    ]
    assert.deepEqual(await eventsOf(server, ...types), first)

    await mailing.deliver()
    await server.context.db.updateTable('users').set({ email_verified_at: null }).execute()
    for (const _ of [1, 2]) {
      await post(server, '/auth/forgot-password', { email })
      const reset = { token: proofIn(await deliverOne(mailing, email)).token, new_password: NEW_PASSWORD }
      assert.equal((await post(server, '/auth/reset-password', reset)).status, 204)
      await mailing.deliver()
    }
    const set = { type: 'user.password_reset', ...hers }
    assert.deepEqual(await eventsOf(server, ...types), [...first, set, first[0], set])
  })

  it('an account that goes back to its old address has no password any more', async () => {
    const mailing = await startWith()
    const { server } = mailing
    const ada = await registerVerified(mailing)
    const json = { email: 'new@example.org', current_password: PASSWORD }
    const { access_token: token } = ada.tokens
    assert.equal((await server.call('PATCH', `${API}/users/me`, { json, token })).status, 200)
    const confirm = proofIn(await deliverOne(mailing, json.email))
    await post(server, '/auth/verify-email', { token: confirm.token, password: PASSWORD })
    const undo = proofIn(await deliverOne(mailing, ada.email))
    assert.equal((await post(server, '/auth/undo-email-change', { token: undo.token })).status, 204)
    const told = await eventsOf(server, 'user.password_removed', 'user.email_change_undone')
    assert.deepEqual(told.map(({ type }) => type).sort(), [
      'user.email_change_undone',
      'user.password_removed',
    ])
  })

  it('who signs in by mail has no failures any more, at either name', async () => {
    const mailing = await startWith((overrides) => startLimited(start, overrides))
    const { server } = mailing
    const { email } = await registerVerified(mailing)
    for (const name of ['ada', email, 'somebody else']) await guess(server, name)
    const { request_token, token } = await askForLink(mailing, email)
    assert.equal((await post(server, REDEEM, { request_token, token })).status, 200)
    const left = await server.context.db.selectFrom('sign_in_failures').select('key').execute()
    assert.deepEqual(left, [{ key: throttledName(server.context, 'somebody else').key }])
  })
})
