import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTo, createServer, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createTestDatabase, type TestDatabase } from '../support/databases.ts'
import { findFreePort, type PostgresServer, startPostgres } from '../support/postgres.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import { type Reply, type ServerProcess, startServerProcess } from '../support/server-process.ts'

const ADA = { username: 'ada', email: 'ada@example.com', password: 'correct horse battery staple' }
/** What a request may take while the database hangs: a connection's 3 seconds, a query's 10, and some slack. */
const BOUND_MS = 16_000

type Tokens = { access_token: string; refresh_token: string }
type Request = (server: ServerProcess, tokens: Tokens) => Promise<Reply>

const REQUESTS: Record<string, Request> = {
  me: (server, { access_token }) => server.call('GET', '/api/v1/users/me', { token: access_token }),
  login: (server) => server.call('POST', '/api/v1/auth/login', { form: ADA }),
  refresh: (server, { refresh_token }) =>
    server.call('POST', '/api/v1/auth/refresh', { json: { refresh_token } }),
}

async function assertUnavailable(server: ServerProcess, tokens: Tokens, boundMs: number): Promise<void> {
  await Promise.all(
    Object.entries(REQUESTS).map(async ([name, request]) => {
      const startedAt = performance.now()
      const reply = await request(server, tokens)
      const ms = performance.now() - startedAt
      assert.deepEqual([name, reply.status, reply.body.code], [name, 503, 'database_unavailable'])
      assert.match(reply.headers.get('retry-after') ?? '', /^[1-9]\d*$/, name)
      assert.ok(ms < boundMs, `${name} took ${ms} ms`)
    }),
  )
}

async function assertServing(server: ServerProcess, tokens: Tokens): Promise<void> {
  for (const [name, request] of Object.entries(REQUESTS)) {
    assert.deepEqual([name, (await request(server, tokens)).status], [name, 200])
  }
}

async function register(server: ServerProcess): Promise<Tokens> {
  const reply = await server.call('POST', '/api/v1/auth/register', { json: ADA })
  assert.equal(reply.status, 200, reply.text)
  return reply.body
}

async function loginAgain(server: ServerProcess): Promise<Tokens> {
  const reply = await server.call('POST', '/api/v1/auth/login', { form: ADA })
  assert.equal(reply.status, 200, reply.text)
  return reply.body
}

describe('PostgreSQL goes away and comes back under a running server', () => {
  let postgres: PostgresServer
  let server: ServerProcess
  before(async () => {
    postgres = await startPostgres()
    server = await startServerProcess({ DATABASE_URL: postgres.url, SECRET_KEY })
  })
  after(async () => {
    await server?.stop()
    await postgres?.stop()
  })

  it('[V16.5.3] meanwhile 503 with Retry-After, alive but not ready; then all as before, without a restart', async () => {
    const tokens = await register(server)
    await postgres.kill()
    await assertUnavailable(server, tokens, BOUND_MS)
    assert.equal((await server.call('GET', '/health')).status, 200)
    await server.waitUntil(503)
    await postgres.restart()
    await server.waitUntil(200)
    await assertServing(server, tokens)
  })

  it('[V16.3.4] [V16.5.1] the log tells of it, the reply does not', async () => {
    const { call } = server
    await postgres.kill()
    const reply = await call('POST', '/api/v1/auth/login', { form: ADA })
    assert.equal(reply.status, 503)
    assert.doesNotMatch(reply.text, /ECONN|postgres|select|connection/i)
    const line = await server.findLog(
      ({ request_id, level }) => level === 50 && request_id === reply.body.request_id,
    )
    assert.equal(line.code, 'database_unavailable')
    await postgres.restart()
    await server.waitUntil(200)
  })
})

describe('PostgreSQL hangs: connections stay open and nothing is answered', () => {
  let database: TestDatabase
  let proxy: Proxy
  let server: ServerProcess
  before(async () => {
    database = await createTestDatabase('postgres')
    proxy = await startProxy(new URL(database.url))
    server = await startServerProcess({ DATABASE_URL: proxy.url, SECRET_KEY })
  })
  after(async () => {
    await server?.stop()
    await proxy?.close()
    await database?.drop()
  })

  it('requests are answered 503 within their bound, readiness within 2 seconds; then all as before', async () => {
    const tokens = await register(server)
    proxy.stall()
    const unavailable = assertUnavailable(server, tokens, BOUND_MS)
    const startedAt = performance.now()
    assert.equal((await server.call('GET', '/health/ready')).status, 503)
    assert.ok(performance.now() - startedAt < 4000, 'readiness was slow')
    assert.equal((await server.call('GET', '/health')).status, 200)
    await unavailable
    proxy.flow()
    await server.waitUntil(200)
    await assertServing(server, tokens)
  })

  it('SIGTERM meanwhile ends the server 2 seconds after its 10 at the latest', async () => {
    const tokens = await loginAgain(server)
    proxy.stall()
    const inFlight = Object.values(REQUESTS).map((request) => request(server, tokens).catch(() => undefined))
    await sleep(100)
    const startedAt = performance.now()
    const exit = await server.stop()
    assert.ok(server.log().some(({ msg }) => /^did not wait/.test(msg)))
    const ms = performance.now() - startedAt
    assert.deepEqual(exit, { code: 0, signal: null })
    assert.ok(ms > 9_000 && ms < 13_500, `${ms} ms`)
    await Promise.all(inFlight)
  })
})

type Proxy = { url: string; stall(): void; flow(): void; close(): Promise<void> }

/** A way to PostgreSQL on which bytes can be held up. */
async function startProxy(target: URL): Promise<Proxy> {
  const sockets = new Set<Socket>()
  let isStalled = false
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    if (isStalled) socket.pause()
  }
  const proxy = createServer((client) => {
    const upstream = connectTo(Number(target.port || 5432), target.hostname)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      keep(from)
      from.on('data', (chunk) => to.write(chunk))
      from.on('close', () => to.destroy())
    }
  })
  proxy.listen(await findFreePort(), '127.0.0.1')
  await once(proxy, 'listening')
  const address = proxy.address()
  assert.ok(address !== null && typeof address === 'object')
  const url = new URL(target)
  url.host = `127.0.0.1:${address.port}`
  return {
    url: url.href,
    stall() {
      isStalled = true
      for (const socket of sockets) socket.pause()
    },
    flow() {
      isStalled = false
      for (const socket of sockets) socket.resume()
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      proxy.close()
      await once(proxy, 'close')
    },
  }
}
