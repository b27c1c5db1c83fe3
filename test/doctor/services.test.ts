import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { diagnose } from '../support/doctor.ts'
import { startRangeServer } from '../support/range-server.ts'
import { findRedis } from '../support/redis.ts'

const found = async (env: Record<string, string>) => (await diagnose(env)).found('database.new')

describe('doctor: the store of counters', () => {
  it('a Redis as it comes has nothing that is weak', async (t) => {
    const url = await findRedis()
    if (url === undefined) return t.skip('no Redis answers')
    const diagnosis = await diagnose({ RATE_LIMIT_URL: url })
    assert.deepEqual(diagnosis.found('database.new'), [])
    assert.equal(diagnosis.level('counters.eviction'), 'ok')
  })

  it('one that throws counters away, that is not allowed to tell, or wants another password', async (t) => {
    const info = (text: string) => `$${text.length}\r\n${text}\r\n`
    const evicting = await startStore(t, () => info('maxmemory:1000\r\nmaxmemory_policy:allkeys-lru\r\n'))
    assert.deepEqual(await found({ RATE_LIMIT_URL: evicting }), ['counters.eviction'])
    const secretive = await startStore(t, () => "-NOPERM this user has no permissions to run 'info'\r\n")
    assert.deepEqual(await found({ RATE_LIMIT_URL: secretive }), [])
    const closed = await startStore(t, () => '-NOAUTH Authentication required.\r\n')
    const { what } = await diagnose({ RATE_LIMIT_URL: closed })
    assert.deepEqual(what('counters.reachable'), ['127.0.0.1 cannot be used (NOAUTH)'])
  })

  it('one that is down, or does not answer', async (t) => {
    assert.deepEqual(await found({ RATE_LIMIT_URL: 'redis://127.0.0.1:1' }), ['counters.reachable'])
    const silent = await startStore(t, () => undefined)
    assert.deepEqual(await found({ RATE_LIMIT_URL: silent }), ['counters.reachable'])
  })
})

describe('doctor: services that are asked', () => {
  it('a range API that answers as one, or does not', async (t) => {
    const server = await startRangeServer()
    t.after(() => server.close())
    const env = { PWNED_PASSWORDS_URL: server.url }
    assert.deepEqual(await found(env), [])
    // Of the password "password": nothing of anybody's is sent.
    assert.deepEqual(
      server.requests.map(({ path }) => path),
      ['/range/5BAA6'],
    )
    server.answer((response) => response.end('<h1>It works!</h1>'))
    assert.deepEqual(await found(env), ['services.pwned_passwords'])
  })

  it('a captcha service that knows the secret, does not, confirms everything, or does not answer', async (t) => {
    const server = await startRangeServer()
    t.after(() => server.close())
    const env = { CAPTCHA_VERIFY_URL: server.url, CAPTCHA_SECRET: 'canary-of-the-captcha' }
    for (const [answer, expected] of [
      ['{"success": false, "error-codes": ["invalid-input-response"]}', []],
      ['{"success": false, "error-codes": ["invalid-input-secret"]}', ['services.captcha_secret']],
      ['{"success": true}', ['services.captcha_strict']],
      ['<h1>It works!</h1>', ['services.captcha']],
    ] as const) {
      server.answer((response) => response.end(answer))
      const diagnosis = await diagnose(env)
      assert.deepEqual(diagnosis.found('database.new'), expected)
      assert.doesNotMatch(JSON.stringify(diagnosis.findings), /canary/)
    }
  })
})

/** A store that answers INFO as told, and everything else with OK (the protocol is RESP 2). */
async function startStore(t: TestContext, answerInfo: () => string | undefined): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      const commands = chunk
        .toString()
        .split(/^\*\d+\r\n/m)
        .slice(1)
      for (const command of commands) {
        socket.write((/\r\nINFO\r\n/i.test(command) ? answerInfo() : '+OK\r\n') ?? '')
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `redis://127.0.0.1:${(server.address() as AddressInfo).port}`
}
