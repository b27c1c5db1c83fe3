import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Env } from '../support/child-process.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'

const ADA = { username: 'ada', email: 'ada@example.com', password: 'correct horse battery staple' }
const LOGIN = { username: ADA.username, password: ADA.password }
const SOON_MS = 5000

describe('stop', () => {
  const servers: ServerProcess[] = []
  const sockets: Socket[] = []
  const start = async (env?: Env, folder?: string): Promise<ServerProcess> => {
    const server = await startServerProcess(env, folder === undefined ? {} : { folder })
    servers.push(server)
    return server
  }
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    for (const server of servers.splice(0)) await server.kill()
  })

  async function open(server: ServerProcess, text: string): Promise<Socket> {
    const socket = connect(server.port, '127.0.0.1')
    sockets.push(socket)
    socket.on('error', () => {})
    await once(socket, 'connect')
    socket.write(text)
    return socket
  }

  async function exitAfter(server: ServerProcess, signal: NodeJS.Signals) {
    const startedAt = performance.now()
    server.signal(signal)
    const exit = await server.exited
    return { ...exit, ms: performance.now() - startedAt }
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`${signal}: sign-ins under way get their answer, then it exits with 0`, async () => {
      const server = await start({ HASH_CONCURRENCY: '1' })
      assert.equal((await server.call('POST', '/api/v1/auth/register', { json: ADA })).status, 200)
      const logins = Array.from({ length: 6 }, () =>
        server.call('POST', '/api/v1/auth/login', { form: LOGIN }),
      )
      await Promise.race(logins)
      const exited = exitAfter(server, signal)
      const replies = await Promise.all(logins)
      assert.deepEqual(
        replies.map(({ status }) => status),
        replies.map(() => 200),
      )
      const { code, ms } = await exited
      assert.equal(code, 0, server.stderr())
      assert.ok(ms < SOON_MS, `${ms} ms, though the clients only kept their connections`)
      await assert.rejects(fetch(`${server.url}/health`))
    })
  }

  it('closes the database: nothing is left in a write-ahead log', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-stop-'))
    try {
      const server = await start({}, folder)
      assert.equal((await server.call('POST', '/api/v1/auth/register', { json: ADA })).status, 200)
      assert.equal((await server.stop()).code, 0)
      assert.deepEqual((await readdir(join(folder, 'data'))).sort(), ['postern.db', 'postern.db.secret-key'])
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('does not wait for idle connections', async () => {
    const server = await start()
    const idle = await open(server, 'GET /health HTTP/1.1\r\nhost: x\r\nconnection: keep-alive\r\n\r\n')
    await once(idle, 'data')
    await open(server, '')
    const { code, ms } = await exitAfter(server, 'SIGTERM')
    assert.equal(code, 0)
    assert.ok(ms < SOON_MS, `${ms} ms`)
  })

  it('ends also when nobody reads its log any more', async () => {
    const server = await start({ LOG_LEVEL: 'trace' })
    server.hangUp()
    for (let count = 0; count < 50; count++) await server.call('GET', '/health')
    const { ms } = await exitAfter(server, 'SIGTERM')
    assert.ok(ms < SOON_MS, `${ms} ms`)
  })

  it('a second signal changes nothing', async () => {
    const server = await start()
    assert.equal((await server.call('POST', '/api/v1/auth/register', { json: ADA })).status, 200)
    const login = server.call('POST', '/api/v1/auth/login', { form: LOGIN })
    await sleep(5)
    server.signal('SIGTERM')
    await server.findLog(({ signal }) => signal === 'SIGTERM')
    server.signal('SIGINT')
    const [reply, exit] = await Promise.all([login, server.exited])
    assert.equal(reply.status, 200)
    assert.equal(exit.code, 0)
  })
})
