import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openDatabase } from '../../src/database/connection.ts'
import { pendingMigrations } from '../../src/database/migrate.ts'
import { migrations } from '../../src/database/migrations/index.ts'
import { createTestDatabase, DATABASES } from '../support/databases.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'

const NODES = 5

for (const kind of DATABASES) {
  describe(`five nodes that start at once on an empty database (${kind})`, () => {
    it('all become ready, migrate once, share one signing key and accept one another’s tokens', async () => {
      const database = await createTestDatabase(kind)
      const folder = await mkdtemp(join(tmpdir(), 'postern-nodes-'))
      // On SQLite the nodes also have to agree on the secret that one of them makes.
      const secret = kind === 'postgres' ? { SECRET_KEY } : {}
      const env = { DATABASE_URL: database.url, PUBLIC_URL: 'http://auth.test', ...secret }
      const started = await Promise.allSettled(
        Array.from({ length: NODES }, () => startServerProcess(env, { folder })),
      )
      const nodes = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
      try {
        assert.deepEqual(
          started.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : [])),
          [],
        )
        await assertOneKey(nodes)
        await assertShared(nodes)
        const opened = await openDatabase(database.settings)
        assert.deepEqual(await pendingMigrations(opened), [])
        const applied = await opened.db.introspection.getTables()
        assert.equal(new Set(applied.map(({ name }) => name)).size, applied.length)
        assert.ok(Object.keys(migrations).length > 0)
        await opened.close()
      } finally {
        await Promise.all(nodes.map((node) => node.stop()))
        await database.drop()
        await rm(folder, { recursive: true, force: true })
      }
    })
  })
}

async function assertOneKey(nodes: ServerProcess[]): Promise<void> {
  const sets = await Promise.all(nodes.map((node) => node.call('GET', '/.well-known/jwks.json')))
  const [first] = sets
  assert.equal(first?.body.keys.length, 1)
  for (const { body } of sets) assert.deepEqual(body, first?.body)
}

/** What one node gave, every other takes. */
async function assertShared(nodes: ServerProcess[]): Promise<void> {
  const [first] = nodes
  const json = { username: 'ada', email: 'ada@example.com', password: 'correct horse battery staple' }
  const registered = await first?.call('POST', '/api/v1/auth/register', { json })
  assert.equal(registered?.status, 200)
  const token = registered?.body.access_token
  const profiles = await Promise.all(nodes.map((node) => node.call('GET', '/api/v1/users/me', { token })))
  for (const { status, body } of profiles) assert.deepEqual([status, body.username], [200, 'ada'])
}
