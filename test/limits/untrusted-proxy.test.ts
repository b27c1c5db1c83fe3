import assert from 'node:assert/strict'
import { it } from 'node:test'
import fastify, { type FastifyBaseLogger } from 'fastify'
import { DAY } from '../../src/core/clock.ts'
import type { App } from '../../src/http/app-type.ts'
import { rememberCallers } from '../../src/http/dependencies.ts'
import { clientAddress, trustProxy, watchForwarding } from '../../src/http/forwarding.ts'
import { inject, onEachDatabase, type TestServer } from '../kit.ts'
import { createLog } from '../support/audit.ts'
import { until } from '../support/until.ts'

const FORWARDED = { 'x-forwarded-for': '203.0.113.9' }
const NEAR = [
  '10.0.0.1',
  '100.64.0.1',
  '127.0.0.1',
  '169.254.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.0.1',
  '::1',
  'fd00::1',
  'fe80::1',
  'fe80::1%eth0',
  '::ffff:10.0.0.1',
]
const FAR = ['192.0.2.1', '11.0.0.1', '172.32.0.1', '2001:db8::1', '::2', '', 'no address']

/** An app that does nothing but watch, and answers what it made of the caller. */
function createWatcher({ context }: TestServer, settings = context.settings) {
  const { log, lines } = createLog()
  const loggerInstance: FastifyBaseLogger = log
  const app: App = fastify({ loggerInstance, trustProxy: trustProxy(settings) })
  app.addHook('onRequest', (request, _reply, done) => {
    // In tests alone an address can be something else.
    Object.defineProperty(request, 'ip', { value: request.headers['x-test-ip'] ?? request.ip })
    done()
  })
  rememberCallers(app)
  watchForwarding(app, { ...context, settings })
  app.get('/', ({ caller }) => ({ isShared: caller.isShared === true }))
  const isShared = async (ip: string, headers: Record<string, string> = FORWARDED) =>
    (await inject(app, 'GET', '/', { ip, headers })).body.isShared
  const warnings = () => lines.filter(({ level }) => level === 40)
  return { isShared, warnings }
}

const proxyEvents = ({ context }: TestServer) =>
  context.db
    .selectFrom('audit_events')
    .select(['ip', 'detail'])
    .where('type', '=', 'server.proxy_untrusted')
    .orderBy('id')
    .execute()

const forwardedOf = ({ context }: TestServer) =>
  context.metrics.read().find(({ name }) => name === 'postern_untrusted_forwarded_total')

onEachDatabase('behind a proxy that nobody has named', ({ start }) => {
  it('requests are told of once a day, with how many there were', async () => {
    const server = await start()
    const { isShared, warnings } = createWatcher(server)
    await isShared('10.0.0.1', {})
    for (let count = 0; count < 3; count += 1) await isShared('10.0.0.1')
    server.clock.advance(DAY)
    await isShared('10.0.0.1')
    await until('both are recorded', async () => (await proxyEvents(server)).length === 2)
    assert.deepEqual(
      (await proxyEvents(server)).map(({ ip, detail }) => [ip, JSON.parse(detail ?? '')]),
      [
        ['10.0.0.1', { requests: 1 }],
        ['10.0.0.1', { requests: 4 }],
      ],
    )
    assert.deepEqual(
      warnings().map(({ requests, ip }) => [requests, ip]),
      [
        [1, '10.0.0.1'],
        [4, '10.0.0.1'],
      ],
    )
    assert.deepEqual(forwardedOf(server)?.values, [{ labels: {}, value: 4 }])
    assert.match(String(warnings()[0]?.msg), /no proxy is trusted.*TRUSTED_PROXIES/)
  })

  it('any of the headers that proxies add tells of one', async () => {
    const server = await start()
    for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'cf-connecting-ip']) {
      const { isShared, warnings } = createWatcher(server)
      assert.equal(await isShared('10.0.0.1', { [name]: '203.0.113.9' }), true, name)
      assert.equal(warnings().length, 1, name)
    }
  })

  it('[V6.1.1] an address of a private network may be shared by many; others count as one client', async () => {
    const server = await start()
    const { isShared } = createWatcher(server)
    for (const ip of NEAR) assert.equal(await isShared(ip), true, ip)
    for (const ip of FAR) {
      assert.equal(await isShared('192.0.2.1', { ...FORWARDED, 'x-test-ip': ip }), false, ip)
    }
    assert.equal(await isShared('10.0.0.1', {}), false, 'without any header')
  })

  it('where proxies are trusted, nothing is told, and no address is taken for one of many clients', async () => {
    const server = await start()
    for (const trustedProxies of [1, ['192.168.0.0/16']] as const) {
      const { isShared, warnings } = createWatcher(server, { ...server.settings, trustedProxies })
      assert.equal(await isShared('10.0.0.1'), false)
      assert.deepEqual(warnings(), [])
    }
  })

  it('a database that cannot record it keeps no request waiting, and is told of', async () => {
    const server = await start()
    await server.context.db.schema.alterTable('audit_events').renameTo('elsewhere').execute()
    const { isShared, warnings } = createWatcher(server)
    assert.equal(await isShared('10.0.0.1'), true)
    await until('the failure is told of', () => warnings().length === 2)
    const [, failure] = warnings()
    assert.equal(failure?.msg, 'the event could not be recorded')
    assert.match(JSON.stringify(failure?.err), /audit_events/)
    await server.context.db.schema.alterTable('elsewhere').renameTo('audit_events').execute()
  })
})

it('a request whose connection has gone has no address', () => {
  assert.equal(clientAddress({ ip: undefined, socket: {} } as never), undefined)
})
