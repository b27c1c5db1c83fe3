import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { createTestDatabase, DATABASES } from '../support/databases.ts'
import { findFreePort, startPostgres } from '../support/postgres.ts'
import { createClients } from '../support/refreshing-clients.ts'
import { scale } from '../support/scale.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import { startServerProcess } from '../support/server-process.ts'

const CLIENTS = scale(40, 200)
const CRASHES = scale(1, 20)
const SETTINGS = { SECRET_KEY, LOG_LEVEL: 'fatal', SESSION_LIMIT: '1000' }
const LONGEST_MS = 200_000

describe('a crash signs nobody out', () => {
  for (const kind of DATABASES) {
    it(`[V2.3.3] the server killed in the middle of ${CLIENTS} clients refreshing (${kind})`, {
      timeout: LONGEST_MS,
    }, async (t) => {
      const database = await createTestDatabase(kind)
      t.after(() => database.drop())
      const port = await findFreePort()
      const env = { ...SETTINGS, DATABASE_URL: database.url, PORT: String(port) }
      let server = await startServerProcess(env)
      t.after(() => server.kill())
      const clients = createClients(port)
      t.after(() => clients.close())
      await clients.signIn(CLIENTS)

      for (let crash = 0; crash < CRASHES; crash += 1) {
        const before = clients.received()
        await duringRefreshes(clients, async () => {
          await sleep(100 + Math.random() * 300)
          await server.kill()
        })
        assert.ok(clients.received() > before, 'clients were refreshing')
        server = await startServerProcess(env)
        await clients.refreshAll()
      }
      assert.deepEqual([...clients.refusals.keys()], [])
      await clients.refreshAll()
    })
  }

  it('PostgreSQL killed under a server that lives: 503 with Retry-After, not ready, and no restart needed', {
    timeout: LONGEST_MS,
  }, async (t) => {
    const postgres = await startPostgres()
    t.after(() => postgres.stop())
    const server = await startServerProcess({ ...SETTINGS, DATABASE_URL: postgres.url })
    t.after(() => server.kill())
    const clients = createClients(server.port)
    t.after(() => clients.close())
    await clients.signIn(20)

    for (let crash = 0; crash < scale(1, 5); crash += 1) {
      await duringRefreshes(clients, async () => {
        await sleep(200)
        await postgres.kill()
        await server.waitUntil(503)
        await sleep(200)
        const alive = await server.call('GET', '/health')
        assert.equal(alive.status, 200)
        await postgres.restart()
        await server.waitUntil(200)
        const before = clients.received()
        await waitFor(t, () => clients.received() > before)
      })
      await clients.refreshAll()
    }
    assert.deepEqual([...clients.refusals.keys()], ['503 database_unavailable with Retry-After'])
    assert.equal(await countEnded(postgres.url), 0)
  })
})

async function duringRefreshes(clients: ReturnType<typeof createClients>, work: () => Promise<void>) {
  const controller = new AbortController()
  const refreshing = clients.refreshUntil(controller.signal)
  try {
    await work()
  } finally {
    controller.abort()
    await refreshing
  }
}

async function waitFor(t: TestContext, isTrue: () => boolean): Promise<void> {
  await t.waitFor(() => assert.ok(isTrue()), { timeout: 10_000, interval: 20 })
}

async function countEnded(url: string): Promise<number> {
  const client = new Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query('select 1 from sessions where revoked_at is not null')
  await client.end()
  return rows.length
}
