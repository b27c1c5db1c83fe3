import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Reply, type ServerProcess, startServerProcess } from '../support/server-process.ts'

const ADA = { username: 'ada', email: 'ada@example.com', password: 'correct horse battery staple' }

describe('an SQLite file that another process has locked', () => {
  let server: ServerProcess
  let other: DatabaseSync
  let token: string
  before(async () => {
    server = await startServerProcess()
    const reply = await server.call('POST', '/api/v1/auth/register', { json: ADA })
    assert.equal(reply.status, 200, reply.text)
    token = reply.body.access_token
    other = new DatabaseSync(join(server.folder, 'data', 'postern.db'))
  })
  after(async () => {
    other?.close()
    await server?.stop()
  })

  const login = () => server.call('POST', '/api/v1/auth/login', { form: ADA })

  /** Signs in while the lock is held for so long. */
  async function loginWhileLocked(
    ms: number,
    meanwhile?: () => Promise<void>,
  ): Promise<Reply & { ms: number }> {
    // The server may be writing something of its own just now.
    other.exec('pragma busy_timeout = 5000; begin immediate')
    const release = sleep(ms).then(() => other.exec('rollback'))
    const startedAt = performance.now()
    const reply = login().then((answer) => ({ ...answer, ms: performance.now() - startedAt }))
    await meanwhile?.()
    await release
    return reply
  }

  it('for 2 seconds: who writes waits, and is served', async () => {
    const reply = await loginWhileLocked(2000)
    assert.equal(reply.status, 200, reply.text)
    assert.ok(reply.ms > 1500, `${reply.ms} ms`)
  })

  it('for 7 seconds: who writes gets 503 with Retry-After after 5; who reads is served; then all as before', async () => {
    const reply = await loginWhileLocked(7000, async () => {
      assert.equal((await server.call('GET', '/api/v1/users/me', { token })).status, 200)
      assert.equal((await server.call('GET', '/health/ready')).status, 200)
    })
    assert.deepEqual([reply.status, reply.body.code], [503, 'database_unavailable'])
    assert.equal(reply.headers.get('retry-after'), '1')
    assert.ok(reply.ms > 4500 && reply.ms < 7000, `${reply.ms} ms`)
    assert.equal((await login()).status, 200)
  })
})
