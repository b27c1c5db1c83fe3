import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Env } from '../support/child-process.ts'
import { type Collector, type ReceivedSpan, startCollector, toRecord } from '../support/collector.ts'
import { createTestDatabase, DATABASES, type TestDatabase } from '../support/databases.ts'
import { findFreePort } from '../support/postgres.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'

const CANARY = 'canary-Zq7-password-Xw9'
const ADA = { username: 'ada-canary', email: 'ada-canary@example.com', password: CANARY }
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
const PARENT_ID = 'b7ad6b7169203331'
const SERVER = 2

const servers: ServerProcess[] = []
const collectors: Collector[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.kill()
  for (const collector of collectors.splice(0)) await collector.close()
})

async function collect(): Promise<Collector> {
  const collector = await startCollector()
  collectors.push(collector)
  return collector
}

async function start(env: Env): Promise<ServerProcess> {
  const server = await startServerProcess({ SECRET_KEY, ...env })
  servers.push(server)
  return server
}

const register = ({ call }: ServerProcess) => call('POST', '/api/v1/auth/register', { json: ADA })
const isNamed =
  (name: string) =>
  (span: ReceivedSpan): boolean =>
    span.name === name
const milliseconds = ({ startTimeUnixNano, endTimeUnixNano }: ReceivedSpan) =>
  Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano)) / 1e6

for (const kind of DATABASES) {
  describe(`traces (${kind})`, () => {
    let database: TestDatabase
    before(async () => {
      database = await createTestDatabase(kind)
    })
    after(() => database?.drop())

    it('a sign-in is one trace: the request, its statements and its hash, joined to the caller’s', async () => {
      const collector = await collect()
      const server = await start({
        DATABASE_URL: database.url,
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_HEADERS: 'x-key=open%20sesame,x-other=1',
        OTEL_SERVICE_NAME: 'auth',
      })
      await register(server)
      const traceparent = `00-${TRACE_ID}-${PARENT_ID}-01`
      const form = { username: ADA.username, password: CANARY }
      const path = `/api/v1/auth/login?transport=body`
      const reply = await server.call('POST', path, { form, headers: { traceparent } })
      assert.equal(reply.status, 200, reply.text)

      const request = await collector.waitFor(({ traceId, kind }) => traceId === TRACE_ID && kind === SERVER)
      const spans = collector.spans().filter(({ traceId }) => traceId === TRACE_ID)
      assert.equal(request.name, 'POST /api/v1/auth/login')
      assert.equal(request.parentSpanId, PARENT_ID)
      const line = await server.findLog(({ trace_id, msg }) => trace_id === TRACE_ID && msg === 'request')
      assert.deepEqual(toRecord(request.attributes), {
        'http.request.method': 'POST',
        'http.route': '/api/v1/auth/login',
        'http.response.status_code': 200,
        'postern.request_id': line.request_id,
        'user.id': line.user_id,
      })
      const parts = spans.filter((span) => span !== request)
      for (const part of parts) {
        assert.equal(part.parentSpanId, request.spanId, part.name)
        assert.ok(milliseconds(part) >= 0 && milliseconds(part) <= milliseconds(request), part.name)
        assert.ok(BigInt(part.startTimeUnixNano) >= BigInt(request.startTimeUnixNano), part.name)
      }
      const hash = parts.find(isNamed('hash password')) ?? assert.fail('no hash')
      assert.ok(milliseconds(hash) > 1, 'argon2id takes its time')
      const system = kind === 'postgres' ? 'postgresql' : 'sqlite'
      const selected = parts.filter(isNamed(`select ${system}`)).map(({ attributes }) => toRecord(attributes))
      assert.ok(selected.some((found) => /from "users"/.test(String(found['db.query.text']))))
      assert.ok(parts.some(isNamed(`insert ${system}`)))
      assert.ok(parts.some(isNamed(`commit ${system}`)))

      assert.ok(collector.paths.every((found) => found === '/v1/traces'))
      const [headers] = collector.headers
      assert.deepEqual([headers?.['x-key'], headers?.['x-other']], ['open sesame', '1'])
      assert.equal(collector.resources[0]?.['service.name'], 'auth')
    })
  })
}

describe('traces', () => {
  it('a statement that many requests share is a part of one that waited for it', async () => {
    const collector = await collect()
    const database = await createTestDatabase('postgres')
    const server = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, DATABASE_URL: database.url })
    const { access_token: token } = (await register(server)).body
    const me = () => server.call('GET', '/api/v1/users/me', { token })
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        for (let count = 0; count < 10; count++) await me()
      }),
    )
    await server.stop()
    const requests = new Map(
      collector
        .spans()
        .filter(isNamed('GET /api/v1/users/me'))
        .map((span) => [span.spanId, span]),
    )
    assert.equal(requests.size, 200)
    const parts = collector.spans().filter(({ parentSpanId = '' }) => requests.has(parentSpanId))
    assert.ok(parts.length >= 10 && parts.length < 200, `${parts.length}`)
    for (const part of parts) {
      const request = requests.get(part.parentSpanId ?? '') ?? assert.fail()
      assert.ok(BigInt(part.startTimeUnixNano) >= BigInt(request.startTimeUnixNano))
      assert.ok(BigInt(part.endTimeUnixNano) <= BigInt(request.endTimeUnixNano))
    }
    await database.drop()
  })

  it('name the route, and no more of the address; a problem is no error, a 503 is one', async () => {
    const collector = await collect()
    const database = await createTestDatabase('postgres')
    const server = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, DATABASE_URL: database.url })
    await server.call('GET', `/nowhere/at-all?token=${CANARY}`)
    await server.call('GET', `/problems/not_found?token=${CANARY}`)
    const unknown = await collector.waitFor(isNamed('GET unknown'))
    assert.equal(toRecord(unknown.attributes)['http.response.status_code'], 404)
    assert.equal(unknown.status.code ?? 0, 0)
    await collector.waitFor(isNamed('GET /problems/:code'))
    await database.drop()
    assert.equal((await server.call('GET', '/health/ready')).status, 503)
    const failed = await collector.waitFor(
      (span) => span.name === 'GET /health/ready' && span.status.code === 2,
    )
    assert.equal(toRecord(failed.attributes)['http.response.status_code'], 503)
  })

  it('hold no password, no token and no e-mail address, wherever a client put it', async () => {
    const collector = await collect()
    const server = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
    const { access_token, refresh_token } = (await register(server)).body
    await server.call('POST', '/api/v1/auth/refresh', { json: { refresh_token } })
    await server.call('PATCH', '/api/v1/users/me', {
      token: access_token,
      json: { email: 'canary-other@example.com', current_password: CANARY },
    })
    // Without the request id, which is the client's to choose, and in the log as well.
    for (const header of ['traceparent', 'tracestate', 'baggage', 'user-agent', 'referer']) {
      const headers = { [header]: CANARY, cookie: `__Host-postern_refresh=${CANARY}` }
      await server.call('GET', `/api/v1/users/me?token=${access_token}`, { token: CANARY, headers })
    }
    await server.stop()
    const sent = JSON.stringify([collector.spans(), collector.resources])
    assert.ok(collector.spans().length > 10)
    for (const secret of ['@example.com', ADA.username, access_token, refresh_token, SECRET_KEY, CANARY])
      assert.ok(!sent.includes(secret), secret)
  })

  it('are of the share that is asked for; a caller may have less of it, and not more', async () => {
    const collector = await collect()
    const none = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_TRACES_SAMPLER_ARG: '0',
    })
    await none.call('GET', '/health', { headers: { traceparent: `00-${TRACE_ID}-${PARENT_ID}-01` } })
    await none.stop()
    assert.equal(collector.spans().length, 0)
    const all = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
    await all.call('GET', '/health', { headers: { traceparent: `00-${TRACE_ID}-${PARENT_ID}-00` } })
    await all.call('GET', '/health', { headers: { traceparent: `ff-${TRACE_ID}-${PARENT_ID}-01x` } })
    await all.stop()
    const mine = collector.spans().filter(isNamed('GET /health'))
    assert.deepEqual(
      mine.map(({ parentSpanId = '', traceId }) => [parentSpanId, traceId === TRACE_ID]),
      [['', false]],
    )
  })

  it('of the last requests are sent when it stops', async () => {
    const collector = await collect()
    const server = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
    await server.call('GET', '/health')
    assert.deepEqual(await server.stop(), { code: 0, signal: null })
    assert.ok(collector.spans().some(isNamed('GET /health')))
  })

  it('without a collector cost a line in the log, and nothing else; with it again they arrive', async () => {
    const port = await findFreePort()
    const server = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` })
    for (let count = 0; count < 20; count++) assert.equal((await server.call('GET', '/health')).status, 200)
    const line = await server.findLog(({ collector }) => collector !== undefined)
    assert.deepEqual([line.level, line.msg], [40, 'traces do not reach the collector; they are dropped'])
    const collector = await startCollector(port)
    collectors.push(collector)
    await server.call('GET', '/problems/not_found')
    await collector.waitFor(isNamed('GET /problems/:code'))
    await server.findLog(({ msg }) => msg === 'traces reach the collector again')
    assert.equal(server.log().filter(({ reason }) => reason !== undefined).length, 1)
  })

  it('to a collector that never answers hold up neither requests nor the stop', async () => {
    const collector = await collect()
    collector.hang()
    const server = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
    for (let count = 0; count < 20; count++) assert.equal((await server.call('GET', '/health')).status, 200)
    await sleep(2500)
    assert.equal((await server.call('GET', '/health')).status, 200)
    const startedAt = performance.now()
    assert.deepEqual(await server.stop(), { code: 0, signal: null })
    assert.ok(performance.now() - startedAt < 5000)
  })

  it('and metrics are off by default: nothing of what they take is loaded', async () => {
    const tell = `import { registerHooks } from 'node:module'
      registerHooks({
        resolve(specifier, context, next) {
          if (/opentelemetry|prom-client/.test(specifier)) process.stderr.write(specifier)
          return next(specifier, context)
        },
      })`
    const nodeOptions = ['--import', `data:text/javascript,${encodeURIComponent(tell)}`]
    const server = await startServerProcess({ SECRET_KEY }, { nodeOptions })
    servers.push(server)
    await server.call('GET', '/health')
    const line = await server.findLog(({ path }) => path === '/health')
    assert.equal('trace_id' in line, false)
    assert.equal(server.stderr(), '')
    const other = await startServerProcess({ SECRET_KEY, METRICS_PORT: '0' }, { nodeOptions })
    servers.push(other)
    await other.findLog((found) => 'metrics' in found)
    assert.match(other.stderr(), /prom-client/)
  })
})
