import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { diagnose } from '../support/doctor.ts'
import { startRangeServer } from '../support/range-server.ts'
import { startFakeRedis, startRedis, withoutRedis } from '../support/redis.ts'

const found = async (env: Record<string, string>) => (await diagnose(env)).found('database.new')

describe('doctor: the store of counters', () => {
  it('a Redis as it comes has nothing that is weak', { skip: withoutRedis ?? false }, async (t) => {
    const { url } = await startRedis(t)
    const diagnosis = await diagnose({ RATE_LIMIT_URL: url })
    assert.deepEqual(diagnosis.found('database.new'), [])
    assert.equal(diagnosis.level('counters.eviction'), 'ok')
  })

  it('one that throws counters away, that is not allowed to tell, or wants another password', async (t) => {
    const info = (text: string) => `$${text.length}\r\n${text}\r\n`
    const evicting = await startFakeRedis(t, {
      INFO: info('maxmemory:1000\r\nmaxmemory_policy:allkeys-lru\r\n'),
    })
    assert.deepEqual(await found({ RATE_LIMIT_URL: evicting.url }), ['counters.eviction'])
    const secretive = await startFakeRedis(t, {
      INFO: "-NOPERM this user has no permissions to run 'info'\r\n",
    })
    assert.deepEqual(await found({ RATE_LIMIT_URL: secretive.url }), [])
    const closed = await startFakeRedis(t, { INFO: '-NOAUTH Authentication required.\r\n' })
    const { what } = await diagnose({ RATE_LIMIT_URL: closed.url })
    assert.deepEqual(what('counters.reachable'), ['127.0.0.1 cannot be used (NOAUTH)'])
  })

  it('one that is down, or does not answer', async (t) => {
    assert.deepEqual(await found({ RATE_LIMIT_URL: 'redis://127.0.0.1:1' }), ['counters.reachable'])
    const silent = await startFakeRedis(t, { INFO: undefined })
    assert.deepEqual(await found({ RATE_LIMIT_URL: silent.url }), ['counters.reachable'])
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
