import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createTestDatabase, DATABASES, type TestDatabase } from '../support/databases.ts'
import { scale } from '../support/scale.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { mannWhitney, median } from '../support/statistics.ts'

const PASSWORD = 'correct horse battery staple'
const ROUNDS = scale(60, 200)
/** So unlikely by chance that a run in ten thousand fails. */
const LEAST_PROBABILITY = 1e-4
/** What other work on the machine blurs is measured anew. */
const MAX_BATCHES = 3

const KNOWN = 'known@example.com'
const UNKNOWN = 'nobody@example.com'

let people = 0

/** What is asked for, by address. */
const WAYS: Readonly<Record<string, (email: string) => { path: string; json: object }>> = {
  'a forgotten password': (email) => ({ path: '/auth/forgot-password', json: { email } }),
  'a link to sign in': (email) => ({ path: '/auth/sign-in-link', json: { email } }),
  'one more mail to verify': (email) => ({ path: '/auth/verify-email/resend', json: { email } }),
  'a registration': (email) => {
    people += 1
    return { path: '/auth/register', json: { username: `person-${people}`, email, password: PASSWORD } }
  },
  'a wrong code': (email) => ({ path: '/auth/verify-email', json: { email, code: '123456' } }),
}

for (const kind of DATABASES) {
  describe(`the time that mails are asked for in (${kind})`, () => {
    let database: TestDatabase
    let server: ServerProcess

    const start = (env: Record<string, string>) =>
      startServerProcess({
        DATABASE_URL: database.url,
        SECRET_KEY,
        // Nobody listens there: what is queued stays.
        SMTP_URL: 'smtp://127.0.0.1:9',
        MAGIC_LINKS: 'true',
        ...env,
      })
    before(async () => {
      database = await createTestDatabase(kind)
      const open = await start({})
      const json = { username: 'known', email: KNOWN, password: PASSWORD }
      assert.equal((await open.call('POST', '/api/v1/auth/register', { json })).status, 200)
      await open.stop()
      server = await start({ REQUIRE_EMAIL_VERIFICATION: 'true' })
    })
    after(async () => {
      await server?.stop()
      await database?.drop()
    })

    for (const [name, ask] of Object.entries(WAYS)) {
      const time = async (email: string) => {
        const { path, json } = ask(email)
        const startedAt = performance.now()
        const { status } = await server.call('POST', `/api/v1${path}`, { json })
        assert.ok([202, 400].includes(status), `${status}`)
        return performance.now() - startedAt
      }

      it(`[V6.3.8] ${name}: it is the same whether or not an account has the address`, async (t) => {
        for (let round = 0; round < 5; round += 1) for (const email of [KNOWN, UNKNOWN]) await time(email)
        let probability = 0
        for (let batch = 0; batch < MAX_BATCHES && probability <= LEAST_PROBABILITY; batch += 1) {
          const known: number[] = []
          const unknown: number[] = []
          for (let round = 0; round < ROUNDS; round += 1) {
            const isFirst = Math.random() < 0.5
            if (isFirst) known.push(await time(KNOWN))
            unknown.push(await time(UNKNOWN))
            if (!isFirst) known.push(await time(KNOWN))
          }
          probability = mannWhitney(known, unknown)
          const times = [known, unknown].map((own) => median(own).toFixed(2)).join(' and ')
          t.diagnostic(`${times} ms, p = ${probability.toFixed(4)}`)
        }
        assert.ok(probability > LEAST_PROBABILITY, `p = ${probability}`)
      })
    }
  })
}
