import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { after, afterEach, before, describe, it } from 'node:test'
import type { Env } from '../support/child-process.ts'
import { createTestDatabase, serverUrl, type TestDatabase } from '../support/databases.ts'
import { query } from '../support/query.ts'
import { FULL } from '../support/scale.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import {
  type LogLine,
  type ProcessCall,
  type Reply,
  runToExit,
  type ServerProcess,
  spawnServer,
  startServerProcess,
} from '../support/server-process.ts'

const ADA = { username: 'ada', email: 'ada@example.com', password: 'correct horse battery staple' }
const LOGIN = { username: ADA.username, password: ADA.password }
const WORKERS = 2
const SOON_MS = 5000

describe('several workers', () => {
  let database: TestDatabase
  const servers: ServerProcess[] = []
  before(async () => {
    database = await createTestDatabase('postgres')
    const server = await startServerProcess({ DATABASE_URL: database.url, SECRET_KEY })
    assert.equal((await server.call('POST', '/api/v1/auth/register', { json: ADA })).status, 200)
    await server.stop()
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.kill()
  })
  after(() => database?.drop())

  const spawn = async (env: Env = {}): Promise<ServerProcess> => {
    const own = { DATABASE_URL: database.url, SECRET_KEY, PUBLIC_URL: 'http://auth.test' }
    const server = await spawnServer({ ...own, WORKERS: String(WORKERS), ...env })
    servers.push(server)
    return server
  }

  /** Resolves when all of them listen. */
  const start = async (env: Env = {}): Promise<ServerProcess> => {
    const server = await spawn(env)
    await server.findLog(() => workersOf(server).length === WORKERS)
    return server
  }

  /** Sign-ins of which the first is answered, and others are not yet. */
  async function signInAtOnce(server: ServerProcess): Promise<Promise<Reply>[]> {
    const signIn = () => server.call('POST', '/api/v1/auth/login', { form: LOGIN })
    const eight = Array.from({ length: 8 })
    // The second time they are on connections that the workers have, and nothing is done for the first time any more:
    // a request that no worker has begun to read when they stop is not under way.
    await Promise.all(eight.map(signIn))
    const replies = eight.map(signIn)
    await Promise.race(replies)
    return replies
  }

  async function assertAnswered(replies: Promise<Reply>[]): Promise<void> {
    for (const { status, text } of await Promise.all(replies)) assert.equal(status, 200, text)
  }

  it('share one port, taken by PORT=0 as well, and tell once where the API is documented', async () => {
    const server = await start({ PORT: '0' })
    const addresses = linesOf(server, /^listening on /).map(({ msg }) => msg.replace('listening on ', ''))
    assert.equal(new Set(addresses).size, 1, addresses.join())
    const docs = linesOf(server, /^the API is documented at /).map((line) => line.docs)
    assert.deepEqual(docs, [`${addresses[0]}/docs`])
    assert.equal((await fetch(`${addresses[0]}/health/ready`)).status, 200)
  })

  it('all answer, and the process that started them does not', async () => {
    const server = await start()
    const pids = new Set<unknown>()
    for (let count = 0; count < 10; count++) pids.add(await answeredBy(server, await call(server)))
    assert.deepEqual([...pids].sort(), workersOf(server).sort())
    assert.ok(!pids.has(server.pid))
  })

  it('take each other’s tokens: a sign-in on one is refreshed on the other', async () => {
    const server = await start()
    const pids = new Set<unknown>()
    let reply = await call(server, 'POST', '/api/v1/auth/login', { form: LOGIN })
    for (let count = 0; count < 6; count++) {
      assert.equal(reply.status, 200, reply.text)
      pids.add(await answeredBy(server, reply))
      const { access_token: token, refresh_token } = reply.body
      assert.equal((await call(server, 'GET', '/api/v1/users/me', { token })).status, 200)
      // With a third call the two take turns at each kind of call.
      await call(server)
      reply = await call(server, 'POST', '/api/v1/auth/refresh', { json: { refresh_token } })
    }
    assert.equal(pids.size, WORKERS)
  })

  it('together open no more connections than DATABASE_POOL_SIZE', async () => {
    const server = await start({ DATABASE_POOL_SIZE: '2' })
    const { body } = await call(server, 'POST', '/api/v1/auth/login', { form: LOGIN })
    const requests = Array.from({ length: 60 }, () =>
      call(server, 'GET', '/api/v1/users/me', { token: body.access_token }),
    )
    await assertAnswered(requests)
    const name = new URL(database.url).pathname.slice(1)
    const open = `SELECT pid FROM pg_stat_activity WHERE application_name = 'postern' AND datname = '${name}'`
    assert.equal((await query(serverUrl(), open)).length, 2)
  })

  it('one that is killed is replaced, later each time; the other goes on answering', async () => {
    const server = await start()
    const delays: unknown[] = []
    for (let count = 0; count < 3; count++) {
      const pid = workersOf(server).at(-1) ?? 0
      process.kill(pid, 'SIGKILL')
      const line = await server.findLog(({ worker }) => worker === pid)
      delays.push(line.retry_in_ms)
      assert.deepEqual([line.level, line.signal], [50, 'SIGKILL'])
      assert.equal((await call(server)).status, 200)
      await server.findLog(() => workersOf(server).length === WORKERS + count + 1)
    }
    assert.deepEqual(delays, [100, 200, 400])
    assert.equal(server.stderr(), '')
  })

  it('one that cannot be replaced at once is tried again until it can', async () => {
    const server = await start()
    const name = new URL(database.url).pathname.slice(1)
    await query(serverUrl(), `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`)
    try {
      process.kill(workersOf(server).at(-1) ?? 0, 'SIGKILL')
      await server.findLog(({ code }) => code === 1)
      assert.match(server.stderr(), /^postern: PostgreSQL database .* cannot be used: .*\n/)
      assert.equal((await call(server)).status, 200)
    } finally {
      await query(serverUrl(), `ALTER DATABASE ${name} ALLOW_CONNECTIONS true`)
    }
    await server.findLog(() => workersOf(server).length === WORKERS + 1)
  })

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`${signal}: sign-ins under way get their answer, then all end, and it exits with 0`, async () => {
      const server = await start({ HASH_CONCURRENCY: '1' })
      const replies = await signInAtOnce(server)
      const startedAt = performance.now()
      // Ctrl-C reaches the workers by itself, too.
      if (signal === 'SIGINT') for (const pid of workersOf(server)) process.kill(pid, signal)
      server.signal(signal)
      await assertAnswered(replies)
      assert.deepEqual(await server.exited, { code: 0, signal: null }, server.stderr())
      assert.ok(performance.now() - startedAt < SOON_MS)
      for (const pid of workersOf(server)) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
      assert.deepEqual(linesOf(server, /^a worker ended/), [])
    })
  }

  it('SIGTERM while they start, or while one is replaced: none stays', async () => {
    const starting = await spawn()
    await starting.findLog(() => workersOf(starting).length === 1)
    starting.signal('SIGTERM')
    // Their output ends with the last of them.
    assert.deepEqual(await starting.exited, { code: 0, signal: null }, starting.stderr())
    await assertFree(starting.port)

    const replacing = await start()
    process.kill(workersOf(replacing).at(-1) ?? 0, 'SIGKILL')
    await replacing.findLog(({ retry_in_ms }) => retry_in_ms !== undefined)
    replacing.signal('SIGTERM')
    assert.deepEqual(await replacing.exited, { code: 0, signal: null }, replacing.stderr())
    await assertFree(replacing.port)
  })

  it('SIGTERM before the first of them listens: ends with 0', async () => {
    const mute = createServer(() => {}).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    const server = await spawn({ DATABASE_URL: `postgres://postgres@127.0.0.1:${portOf(mute)}/mute` })
    await once(mute, 'connection')
    server.signal('SIGTERM')
    assert.deepEqual(await server.exited, { code: 0, signal: null }, server.stderr())
    assert.equal(server.stderr(), '')
    mute.close()
  })

  it('when their primary process is killed they finish what is in flight and end: the port is free', async () => {
    const server = await start({ HASH_CONCURRENCY: '1' })
    const replies = await signInAtOnce(server)
    const startedAt = performance.now()
    server.signal('SIGKILL')
    await assertAnswered(replies)
    // Their output ends with the last of them.
    assert.equal((await server.exited).signal, 'SIGKILL')
    assert.ok(performance.now() - startedAt < SOON_MS)
    assert.equal(linesOf(server, /^stopping: /).length, WORKERS)
    await assertFree(server.port)
  })

  it('one that hangs is killed in the end, and the exit code is 1', { skip: !FULL && 'slow' }, async () => {
    const server = await start()
    process.kill(workersOf(server).at(-1) ?? 0, 'SIGSTOP')
    server.signal('SIGTERM')
    assert.equal((await server.exited).code, 1)
    const [line] = linesOf(server, /^could not stop cleanly/)
    assert.match(JSON.stringify(line), /1 of 2 workers did not stop cleanly/)
  })

  describe('that cannot start: one line, exit code 1, and no second try', () => {
    async function assertRefuses(env: Env, expected: RegExp): Promise<void> {
      const own = { DATABASE_URL: database.url, SECRET_KEY, WORKERS: String(WORKERS), RATE_LIMITS: 'true' }
      const { code, stderr, stdout } = await runToExit({ ...own, ...env })
      assert.equal(code, 1, stderr)
      assert.match(stderr, expected)
      assert.equal(stdout, '')
    }

    it('a taken port', async () => {
      const other = createServer().listen(0, '127.0.0.1')
      await once(other, 'listening')
      const expected = /^postern: cannot listen on 127\.0\.0\.1:\d+: the port is taken.*\n$/
      await assertRefuses({ PORT: String(portOf(other)) }, expected)
      other.close()
    })

    it('a database that is not there', async () => {
      const url = new URL(database.url)
      url.pathname = 'no_such_database'
      await assertRefuses({ DATABASE_URL: url.href }, /^postern: .*"no_such_database" does not exist\n$/)
    })

    it('a database that is not there, with a port for metrics', async () => {
      const url = new URL(database.url)
      url.pathname = 'no_such_database'
      const own = { DATABASE_URL: url.href, SECRET_KEY, WORKERS: String(WORKERS), METRICS_PORT: '0' }
      const { code, stderr } = await runToExit(own)
      assert.equal(code, 1)
      assert.match(stderr, /^postern: .*"no_such_database" does not exist\n$/)
    })

    it('on SQLite', async () => {
      const expected =
        /^postern: Invalid settings:\n {2}WORKERS: it is 2, and SQLite is for one process; expected 1, or PostgreSQL in DATABASE_URL\n$/
      await assertRefuses({ DATABASE_URL: 'sqlite:///./postern.db' }, expected)
    })
  })
})

const linesOf = (server: ServerProcess, message: RegExp): LogLine[] =>
  server.log().filter(({ msg }) => message.test(msg))

/** The process ids of all that have come to listen, in that order. */
const workersOf = (server: ServerProcess): number[] =>
  linesOf(server, /^listening on /).map(({ pid }) => Number(pid))

/** On a connection of its own, since the workers take turns at connections. */
const call = (server: ServerProcess, method = 'GET', path = '/health', options: ProcessCall = {}) =>
  server.call(method, path, { ...options, headers: { connection: 'close' } })

async function answeredBy(server: ServerProcess, reply: Reply): Promise<unknown> {
  const id = reply.headers.get('x-request-id')
  return (await server.findLog(({ request_id }) => request_id === id)).pid
}

function portOf(server: Server): number {
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}

async function assertFree(port: number): Promise<void> {
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  server.close()
  await once(server, 'close')
}
