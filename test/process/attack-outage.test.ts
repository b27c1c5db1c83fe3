import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startPostgres } from '../support/postgres.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import { type Reply, type ServerProcess, startServerProcess } from '../support/server-process.ts'

const ADA = { username: 'ada', email: 'ada@example.com', password: 'correct horse battery staple' }

/** Guesses at one account, each from an address of its own, so many at once, until it is told to end. */
function attack(
  server: ServerProcess,
  { atOnce = 40, pauseMs = 5 } = {},
): { end(): Promise<Map<string, number>> } {
  const outcomes = new Map<string, number>()
  let isOver = false
  const count = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  const runs = Array.from({ length: atOnce }, async (_, run) => {
    for (let n = 0; !isOver; n += 1) {
      const headers = { 'x-forwarded-for': `10.${run}.${n >> 8}.${n & 255}` }
      const form = { username: ADA.username, password: 'certainly not the password' }
      const reply = await server.call('POST', '/api/v1/auth/login', { form, headers }).catch(() => undefined)
      count(reply?.body?.code ?? 'no answer')
      await sleep(pauseMs)
    }
  })
  return {
    async end() {
      isOver = true
      await Promise.all(runs)
      return outcomes
    },
  }
}

const login = (server: ServerProcess, form: Record<string, string>): Promise<Reply> =>
  server.call('POST', '/api/v1/auth/login', { form, headers: { 'x-forwarded-for': '192.0.2.1' } })

async function startAttacked(t: TestContext, databaseUrl: string, folder?: string): Promise<ServerProcess> {
  const env = { DATABASE_URL: databaseUrl, SECRET_KEY, RATE_LIMITS: 'true', TRUSTED_PROXIES: '1' }
  const server = await startServerProcess(env, folder === undefined ? {} : { folder })
  t.after(() => server.stop())
  return server
}

const deviceOf = (reply: Reply): string => {
  assert.equal(reply.status, 200, reply.text)
  return reply.body.device_token
}

it('[V6.3.1] PostgreSQL crashes and comes back in the middle of an attack: no more is looked at than before, and the owner signs in', async (t) => {
  const postgres = await startPostgres()
  t.after(() => postgres.stop())
  const server = await startAttacked(t, postgres.url)
  const device_token = deviceOf(await server.call('POST', '/api/v1/auth/register', { json: ADA }))
  const { end } = attack(server)
  await sleep(1500)
  await postgres.kill()
  await sleep(500)
  await postgres.restart()
  await server.waitUntil(200)
  await sleep(1500)
  const owner = await login(server, { username: ADA.username, password: ADA.password, device_token })
  assert.equal(owner.status, 200, owner.text)
  const outcomes = await end()
  // Six at once, then after delays of a second and more; a crash forgets the minute, not the delays.
  const looked = outcomes.get('invalid_credentials') ?? 0
  assert.ok(looked >= 5 && looked <= 8, `${looked} guesses were looked at`)
  assert.ok((outcomes.get('database_unavailable') ?? 0) > 0, 'it was away')
  assert.equal(outcomes.get('internal_error'), undefined)
  const elsewhere = await login(server, { username: ADA.username, password: ADA.password })
  assert.equal(elsewhere.status, 429, elsewhere.text)
})

it('[V6.3.1] the server is killed and started again in the middle of an attack: delays go on, on SQLite', async (t) => {
  const first = await startServerProcess({ RATE_LIMITS: 'true', TRUSTED_PROXIES: '1' })
  const device_token = deviceOf(await first.call('POST', '/api/v1/auth/register', { json: ADA }))
  // Slowly enough for the 20 of a minute to last, until there is a wait of 8 seconds, longer than a start takes.
  const before = attack(first, { atOnce: 1, pauseMs: 600 })
  await sleep(11_500)
  // Its folder, with the database, stays until it is asked to stop.
  first.signal('SIGKILL')
  await first.exited
  const outcomes = await before.end()
  const looked = outcomes.get('invalid_credentials') ?? 0
  assert.ok(looked >= 7 && looked <= 8, `${looked} guesses were looked at`)

  const env = { RATE_LIMITS: 'true', TRUSTED_PROXIES: '1' }
  const second = await startServerProcess(env, { folder: first.folder })
  t.after(async () => {
    await second.stop()
    await first.stop()
  })
  const elsewhere = await login(second, { username: ADA.username, password: ADA.password })
  assert.equal(elsewhere.body.code, 'too_many_failures')
  const owner = await login(second, { username: ADA.username, password: ADA.password, device_token })
  assert.equal(owner.status, 200, owner.text)
})
