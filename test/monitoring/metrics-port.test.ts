import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { after, afterEach, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Env } from '../support/child-process.ts'
import { createTestDatabase, type TestDatabase } from '../support/databases.ts'
import { parseMetrics, type Told } from '../support/metrics.ts'
import { findFreePort, type PostgresServer, startPostgres } from '../support/postgres.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import {
  type LogLine,
  runToExit,
  type ServerProcess,
  spawnServer,
  startServerProcess,
} from '../support/server-process.ts'

const ADA = { username: 'ada', email: 'ada@example.com', password: 'correct horse battery staple' }
const TOKEN = 'scrape-3Zq7-Xw9-pLm2-Vb5-Nn8-Kk4-Rr1'
/** A worker that hangs is waited for by 2 seconds; the rest is slack. */
const HUNG_MS = 5000

const servers: ServerProcess[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.kill()
})

async function start(env: Env = {}): Promise<{ server: ServerProcess; url: string }> {
  const server = await startServerProcess({ SECRET_KEY, METRICS_PORT: '0', ...env })
  servers.push(server)
  const { metrics } = await server.findLog((line) => 'metrics' in line)
  return { server, url: String(metrics) }
}

async function scrape(url: string): Promise<Told> {
  const reply = await fetch(url)
  assert.equal(reply.status, 200)
  return parseMetrics(await reply.text())
}

const register = async ({ call }: ServerProcess, username = ADA.username) => {
  const json = { ...ADA, username, email: `${username}@example.com` }
  const reply = await call('POST', '/api/v1/auth/register', { json })
  assert.equal(reply.status, 200, reply.text)
  return reply.body
}

describe('METRICS_PORT', () => {
  it('has /metrics and nothing else; the port of the API has none, whatever the token', async () => {
    const { server, url } = await start({ METRICS_TOKEN: TOKEN })
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/)
    const get = (path: string, init: RequestInit = {}) =>
      fetch(new URL(path, url), { headers: { authorization: `Bearer ${TOKEN}` }, ...init })
    const good = await get('/metrics')
    assert.equal(good.status, 200)
    assert.equal(good.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    parseMetrics(await good.text())
    assert.equal((await get('/metrics?name[]=up')).status, 200)
    for (const path of ['/', '/health', '/metrics/', '/api/v1/users/me', '/docs'])
      assert.equal((await get(path)).status, 404, path)
    const posted = await get('/metrics', { method: 'POST' })
    assert.deepEqual([posted.status, posted.headers.get('allow')], [405, 'GET, HEAD'])
    assert.match(await posted.text(), /"code":"method_not_allowed"/)
    const reply = await server.call('GET', '/metrics', { token: TOKEN })
    assert.deepEqual([reply.status, reply.body.code], [404, 'not_found'])
  })

  it('asks for METRICS_TOKEN where it is set', async () => {
    const { url } = await start({ METRICS_TOKEN: TOKEN })
    const status = async (authorization?: string) => {
      const reply = await fetch(url, { headers: authorization === undefined ? {} : { authorization } })
      const { code } = (await reply.json()) as { code: string }
      assert.equal(reply.headers.get('content-type'), 'application/problem+json; charset=utf-8')
      return [reply.status, code, reply.headers.get('www-authenticate')]
    }
    assert.deepEqual(await status(), [401, 'not_authenticated', 'Bearer realm="postern"'])
    const invalid = [401, 'access_token_invalid', 'Bearer realm="postern", error="invalid_token"']
    for (const wrong of [`Bearer ${TOKEN}x`, 'Bearer', 'bearer x'])
      assert.deepEqual(await status(wrong), invalid)
    assert.deepEqual(await status(`Basic ${btoa(`x:${TOKEN}`)}`), [
      401,
      'not_authenticated',
      'Bearer realm="postern"',
    ])
  })

  const outside = Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.family === 'IPv4' && !address.internal)?.address
  it('listens on this machine alone', { skip: outside === undefined && 'no network' }, async () => {
    const { url } = await start({ HOST: '0.0.0.0' })
    const { port } = new URL(url)
    await assert.rejects(fetch(`http://${outside}:${port}/metrics`), /fetch failed/)
    assert.equal((await fetch(url)).status, 200)
  })

  it('that is taken stops the start with one line, and leaves no process', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const PORT = String(await findFreePort())
    const { code, stderr } = await runToExit({ PORT, METRICS_PORT: String(port), SECRET_KEY })
    assert.equal(code, 1)
    assert.match(stderr, /^postern: METRICS_PORT: cannot listen on 127\.0\.0\.1:\d+ \(EADDRINUSE\).*\n$/)
    other.close()
  })

  it('an event loop that is held up shows, and no longer once it has been told', async () => {
    const { server, url } = await start()
    await scrape(url)
    // The histogram of Node measures from tick to tick: of the 10 ms before its first one it knows nothing.
    await sleep(100)
    server.signal('SIGSTOP')
    await sleep(2000)
    server.signal('SIGCONT')
    await sleep(200)
    const worst = async () =>
      (await scrape(url)).value('postern_event_loop_delay_seconds', { percentile: '100' }) ?? 0
    let held = 0
    for (let look = 0; look < 20 && held < 1.5; look += 1) {
      held = await worst()
      await sleep(100)
    }
    assert.ok(held > 1.5, `${held} s`)
    // Of a busy machine's own delays none is as long.
    await sleep(200)
    const after = await worst()
    assert.ok(after < 1.5, `${after} s`)
  })

  it('closes with the server, whoever keeps a connection to it', async () => {
    const { server, url } = await start()
    await scrape(url)
    assert.deepEqual(await server.stop(), { code: 0, signal: null })
    await assert.rejects(fetch(url))
  })
})

describe('METRICS_PORT while PostgreSQL is away', () => {
  let postgres: PostgresServer
  before(async () => {
    postgres = await startPostgres()
  })
  after(() => postgres?.stop())

  it('still answers, and counts what could not be done', async () => {
    const { server, url } = await start({ DATABASE_URL: postgres.url })
    const { access_token: token, refresh_token } = await register(server)
    await postgres.kill()
    const statuses = await Promise.all([
      server.call('GET', '/api/v1/users/me', { token }),
      server.call('POST', '/api/v1/auth/login', { form: ADA }),
      server.call('POST', '/api/v1/auth/refresh', { json: { refresh_token } }),
    ])
    assert.deepEqual(
      statuses.map(({ status }) => status),
      [503, 503, 503],
    )
    const startedAt = performance.now()
    const told = await scrape(url)
    assert.ok(performance.now() - startedAt < 1000)
    const failed = { outcome: 'database_unavailable' }
    assert.equal(told.value('postern_logins_total', failed), 1)
    assert.equal(told.value('postern_refreshes_total', failed), 1)
    assert.ok((told.value('postern_problems_total', { code: 'database_unavailable' }) ?? 0) >= 3)
    await postgres.restart()
  })
})

describe('METRICS_PORT with several workers', () => {
  let database: TestDatabase
  before(async () => {
    database = await createTestDatabase('postgres')
  })
  after(() => database?.drop())

  const startWorkers = async () => {
    const server = await spawnServer({
      DATABASE_URL: database.url,
      SECRET_KEY,
      PUBLIC_URL: 'http://auth.test',
      WORKERS: '2',
      METRICS_PORT: '0',
      DATABASE_POOL_SIZE: '4',
    })
    servers.push(server)
    await server.findLog(() => workersOf(server).length === 2)
    const { metrics } = await server.findLog((line) => 'metrics' in line)
    return { server, url: String(metrics) }
  }
  const health = { method: 'GET', route: '/health', status: '200' }
  const requests = (told: Told) => told.value('postern_http_requests_total', health) ?? 0
  const callHealth = async (server: ServerProcess, times: number) => {
    for (let count = 0; count < times; count++)
      await server.call('GET', '/health', { headers: { connection: 'close' } })
  }

  it('tells of all of them together', async () => {
    const { server, url } = await startWorkers()
    await callHealth(server, 10)
    const told = await scrape(url)
    assert.equal(requests(told), 10)
    assert.equal(told.value('postern_workers', { state: 'answering' }), 2)
    assert.equal(told.value('postern_workers', { state: 'silent' }), 0)
    assert.equal(told.value('postern_database_pool_max_connections'), 4)
    assert.equal(told.value('postern_build_info', told.labels('postern_build_info')[0]), 1)
    await server.findLog(() => answeredBy(server).size === 2)
  })

  it('one that hangs holds up no scrape, and what it has counted stays', async () => {
    const { server, url } = await startWorkers()
    await callHealth(server, 10)
    assert.equal(requests(await scrape(url)), 10)
    const [pid = 0] = workersOf(server)
    process.kill(pid, 'SIGSTOP')
    try {
      const startedAt = performance.now()
      const told = await scrape(url)
      assert.ok(performance.now() - startedAt < HUNG_MS)
      assert.equal(requests(told), 10)
      assert.equal(told.value('postern_workers', { state: 'answering' }), 1)
      assert.equal(told.value('postern_workers', { state: 'silent' }), 1)
      assert.equal(told.value('postern_database_pool_max_connections'), 2)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await waitUntil(async () => (await scrape(url)).value('postern_workers', { state: 'answering' }) === 2)
  })

  it('one that dies takes nothing of the counts with it', async () => {
    const { server, url } = await startWorkers()
    await callHealth(server, 10)
    const before = await scrape(url)
    assert.equal(requests(before), 10)
    for (let count = 0; count < 2; count++) {
      process.kill(workersOf(server).at(-1) ?? 0, 'SIGKILL')
      await server.findLog(() => workersOf(server).length === 3 + count)
      assert.equal(requests(await scrape(url)), 10 + 4 * count)
      await callHealth(server, 4)
      await waitUntil(async () => requests(await scrape(url)) === 14 + 4 * count)
    }
    const told = await scrape(url)
    assert.equal(told.value('postern_workers', { state: 'answering' }), 2)
    const cpu = (from: Told) => from.value('process_cpu_seconds_total') ?? 0
    assert.ok(cpu(told) >= cpu(before))
  })
})

const workersOf = (server: ServerProcess): number[] =>
  server
    .log()
    .filter(({ msg }: LogLine) => msg.startsWith('listening on '))
    .map(({ pid }) => Number(pid))

const answeredBy = (server: ServerProcess): Set<unknown> =>
  new Set(server.log().flatMap(({ path, pid }) => (path === '/health' ? [pid] : [])))

async function waitUntil(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000
  while (performance.now() < end) {
    if (await isSo()) return
    await sleep(50)
  }
  assert.fail('never')
}
