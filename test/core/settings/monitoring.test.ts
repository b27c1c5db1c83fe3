import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { shareOf } from '../../../src/core/settings/share.ts'
import { checkSettings, loadSettings } from '../../../src/core/settings.ts'
import { errorOf, linesOf, POSTGRES, SECRET, settingsOf, temporaryDirectory } from './cases.ts'

const TOKEN = 'scrape-3Zq7-Xw9-pLm2-Vb5-Nn8-Kk4-Rr1'

test('settings: /metrics is nowhere, on a port of its own, or with a token beside the API', () => {
  assert.equal(settingsOf({}).metrics, undefined)
  assert.equal(settingsOf({ METRICS_HOST: '::1' }).metrics, undefined)
  const own = { at: 'port', host: '127.0.0.1', port: 9464, token: undefined }
  assert.deepEqual(settingsOf({ METRICS_PORT: '9464' }).metrics, own)
  assert.deepEqual(settingsOf({ METRICS_TOKEN: TOKEN }).metrics, { at: 'route', token: TOKEN })
  const both = settingsOf({ METRICS_PORT: '0', METRICS_HOST: '::', METRICS_TOKEN: TOKEN }).metrics
  assert.deepEqual(both, { at: 'port', host: '::', port: 0, token: TOKEN })
  assert.ok(Object.isFrozen(both))
})

test('settings: the API cannot be where /metrics is', () => {
  assert.match(errorOf({ API_V1_STR: '/metrics/v1' }), /\/metrics is an address of the server itself/)
})

test('settings: a worker tells its metrics to the primary process alone', () => {
  const node = settingsOf({
    DATABASE_URL: POSTGRES,
    WORKERS: '2',
    METRICS_PORT: '9464',
    METRICS_TOKEN: TOKEN,
  })
  assert.deepEqual(shareOf(node).metrics, { at: 'primary' })
  const without = settingsOf({ DATABASE_URL: POSTGRES, WORKERS: '2' })
  assert.equal(shareOf(without).metrics, undefined)
})

test('settings: METRICS_PORT is another than PORT, and needed for several workers', () => {
  const same = linesOf(errorOf({ PORT: '9000', METRICS_PORT: '9000' }))
  assert.deepEqual(same, ['  METRICS_PORT: it is the same as PORT; expected another'])
  assert.equal(settingsOf({ PORT: '0', METRICS_PORT: '0' }).port, 0)
  const [line = ''] = linesOf(
    errorOf({ DATABASE_URL: POSTGRES, SECRET_KEY: SECRET, WORKERS: '2', METRICS_TOKEN: TOKEN }),
  )
  assert.match(line, /^ {2}METRICS_PORT: it is not set, and one of several WORKERS cannot tell of the others/)
})

test('settings: METRICS_TOKEN is 32 characters of a bearer token, may come from a file, and is never shown', (t) => {
  for (const wrong of [
    'short',
    'x'.repeat(31),
    `${'x'.repeat(32)} y`,
    'ä'.repeat(32),
    `=${'x'.repeat(40)}`,
  ]) {
    const message = errorOf({ METRICS_TOKEN: wrong })
    assert.match(message, /^ {2}METRICS_TOKEN: the value has .*; expected at least 32 letters/m)
    assert.ok(!message.includes(wrong))
  }
  const directory = temporaryDirectory(t)
  writeFileSync(join(directory, 'token'), `${TOKEN}\n`)
  const { settings } = loadSettings({ env: { SECRET_KEY: SECRET, METRICS_TOKEN_FILE: 'token' }, directory })
  assert.deepEqual(settings.metrics, { at: 'route', token: TOKEN })
})

test('settings: a port for metrics that others can reach is a warning, unless a token is asked for', () => {
  const warningsOf = (env: Record<string, string>) => checkSettings({ env, directory: '/nowhere' }).warnings
  for (const METRICS_HOST of ['0.0.0.0', '::', '10.1.2.3', 'metrics.internal']) {
    const [warning, ...others] = warningsOf({ METRICS_PORT: '9464', METRICS_HOST })
    assert.match(warning ?? '', /^METRICS_HOST: whoever reaches .* can read \/metrics; set METRICS_TOKEN/)
    assert.deepEqual(others, [])
    assert.deepEqual(warningsOf({ METRICS_PORT: '9464', METRICS_HOST, METRICS_TOKEN: TOKEN }), [])
    assert.deepEqual(warningsOf({ METRICS_HOST }), [])
  }
  for (const METRICS_HOST of ['127.0.0.1', '127.1.2.3', '::1', 'localhost'])
    assert.deepEqual(warningsOf({ METRICS_PORT: '9464', METRICS_HOST }), [], METRICS_HOST)
})

test('settings: traces go where OTEL_EXPORTER_OTLP_ENDPOINT says, and nowhere without it', () => {
  assert.equal(settingsOf({ OTEL_SERVICE_NAME: 'auth', OTEL_TRACES_SAMPLER_ARG: '0.5' }).tracing, undefined)
  const OTEL_EXPORTER_OTLP_ENDPOINT = 'https://otel.example.com:4318/tenant/'
  assert.deepEqual(settingsOf({ OTEL_EXPORTER_OTLP_ENDPOINT }).tracing, {
    url: 'https://otel.example.com:4318/tenant/v1/traces',
    headers: {},
    serviceName: 'postern',
    ratio: 1,
  })
  const more = {
    OTEL_EXPORTER_OTLP_HEADERS: 'Authorization=Basic%20YWRh, x-tenant = one%2Ctwo ,',
    OTEL_SERVICE_NAME: 'auth',
    OTEL_TRACES_SAMPLER_ARG: '0.25',
  }
  const { tracing } = settingsOf({ OTEL_EXPORTER_OTLP_ENDPOINT, ...more })
  assert.deepEqual(tracing?.headers, { authorization: 'Basic YWRh', 'x-tenant': 'one,two' })
  assert.deepEqual([tracing?.serviceName, tracing?.ratio], ['auth', 0.25])
  for (const value of [tracing, tracing?.headers]) assert.ok(Object.isFrozen(value))
})

test('settings: wrong ones for traces are refused, and secrets in them not shown', () => {
  const expectations: [string, string[], RegExp][] = [
    [
      'OTEL_EXPORTER_OTLP_ENDPOINT',
      ['localhost:4318', 'grpc://h:4317', 'http://u:p@h', 'http://h?x=1'],
      /an http\(s\) URL/,
    ],
    [
      'OTEL_EXPORTER_OTLP_HEADERS',
      ['pa55', '=pa55', 'x=pa55%', 'a b=pa55', 'x=pa55%0d%0ay', 'x=1,pa55'],
      /name=value/,
    ],
    ['OTEL_SERVICE_NAME', ['a b', 'a\nb', 'x'.repeat(101)], /1 to 100 visible/],
    ['OTEL_TRACES_SAMPLER_ARG', ['-1', '1.1', 'all', '1e-1', '.5', '11'], /a number from 0 to 1/],
  ]
  for (const [name, values, expected] of expectations) {
    for (const value of values) {
      const message = errorOf({ [name]: value })
      assert.match(message, new RegExp(`^  ${name}: `, 'm'))
      assert.match(message, expected)
      assert.ok(!message.includes('pa55'), message)
    }
  }
})
