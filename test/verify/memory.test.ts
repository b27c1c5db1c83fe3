import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createAuthenticate } from '../../packages/verify/src/authenticate.ts'
import { createExpiringNames } from '../../packages/verify/src/expiring-names.ts'
import { createTokenCache } from '../../packages/verify/src/token-cache.ts'
import { until } from '../support/until.ts'
import { startIssuer } from './support/issuer.ts'
import { openCaughtUp, openWithoutFeed, refusalOf } from './support/verifiers.ts'

const MANY = 100_000

test('100,000 ended sessions are known, and each is forgotten in the minute after its time', async (t) => {
  const issuer = await startIssuer(t)
  const start = Math.ceil(Date.now() / 60_000) * 60
  const clock = { time: start * 1000 }
  const { verifier, connection } = await openCaughtUp(t, issuer, {}, { now: () => clock.time })
  const minutes = 50
  for (let n = 0; n < MANY; n += 1) {
    const data = JSON.stringify({
      type: 'session',
      sid: `session-${n}`,
      exp: start + 60 * (1 + (n % minutes)),
    })
    connection.send(`event: revocation\nid: ${n}.a\ndata: ${data}\n\n`)
  }
  await until('all are known', () => verifier.counts().endedSessions === MANY)
  assert.equal(await refusalOf(verifier, issuer.token({ sid: `session-${MANY - 1}` })), 'token_revoked')

  for (const minute of [1, 2, 25, 49, 50]) {
    clock.time = (start + 60 * minute) * 1000
    connection.heartbeat(`${minute}.b`, start + 60 * minute)
    const left = MANY - (MANY / minutes) * minute
    await until(`${left} are left`, () => verifier.counts().endedSessions === left)
  }
})

test('a clock that is wrong by itself, ours or the server’s, makes nothing forgotten', async (t) => {
  const issuer = await startIssuer(t)
  const start = Math.floor(Date.now() / 1000)
  const clock = { time: start * 1000 }
  const { verifier, connection } = await openCaughtUp(t, issuer, {}, { now: () => clock.time })
  connection.endSession('one', '1.a', start + 600)
  clock.time = (start + 6_000) * 1000
  connection.heartbeat('1.b', start + 1)
  connection.endSession('two', '1.c', start + 600)
  await until('both are known', () => verifier.counts().endedSessions === 2)
  clock.time = (start + 1) * 1000
  connection.heartbeat('1.d', start + 6_000)
  connection.endSession('three', '1.e', start + 600)
  await until('all are known', () => verifier.counts().endedSessions === 3)
  assert.equal(await refusalOf(verifier, issuer.token({ sid: 'one' })), 'token_revoked')
})

test('what ends twice is remembered until the later time', () => {
  const names = createExpiringNames()
  names.add('one', 60)
  names.add('one', 180)
  names.add('one', 120)
  names.forget(179)
  assert.ok(names.has('one'))
  names.forget(180)
  assert.equal(names.size(), 0)
})

test('no more verified tokens are remembered than was said, whatever comes', async (t) => {
  const issuer = await startIssuer(t)
  const verifier = openWithoutFeed(t, issuer, { maxTokens: 20 })
  for (let n = 0; n < 100; n += 1) {
    await verifier.verify(issuer.token({ jti: `${n}` }))
    assert.ok(verifier.counts().tokens <= 20)
  }
  const none = openWithoutFeed(t, issuer, { maxTokens: 0 })
  await none.verify(issuer.token())
  assert.equal(none.counts().tokens, 0)
})

test('tokens that were not accepted are not remembered', async (t) => {
  const issuer = await startIssuer(t)
  const verifier = openWithoutFeed(t, issuer)
  for (let n = 0; n < 100; n += 1) await refusalOf(verifier, `${issuer.token({ jti: `${n}` })}x`)
  assert.equal(verifier.counts().tokens, 0)
})

test('a verified token takes what the README says, whatever the header was that it came in', async (t) => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const issuer = await startIssuer(t)
  const verifier = openWithoutFeed(t, issuer)
  const authenticate = createAuthenticate(verifier)
  await authenticate(`Bearer ${issuer.token()}`)
  const count = 500
  const lines = Array.from({ length: count }, (_, n) =>
    Buffer.from(`Bearer ${' '.repeat(15_000)}${issuer.token({ jti: `${n}` })}`),
  )
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  for (const line of lines) assert.ok((await authenticate(line.toString('latin1'))).claims)
  collectGarbage()
  const each = (process.memoryUsage().heapUsed - before) / count
  assert.equal(verifier.counts().tokens, count + 1)
  t.diagnostic(`${Math.round(each)} bytes`)
  assert.ok(each < 2_000, `${each} bytes`)
})

test('what is used again and again stays in the cache, however many others come', () => {
  const cache = createTokenCache<number>(100)
  cache.set('hot', 1)
  for (let n = 0; n < 10_000; n += 1) {
    cache.set(`cold ${n}`, n)
    assert.equal(cache.get('hot'), 1)
    assert.ok(cache.size() <= 100)
  }
  assert.equal(cache.get('cold 0'), undefined)
  assert.equal(cache.get('cold 9999'), 9999)
})

test('what is used again counts once', () => {
  const cache = createTokenCache<number>(4)
  for (const token of ['one', 'two', 'three']) cache.set(token, 1)
  assert.equal(cache.get('one'), 1)
  assert.equal(cache.size(), 3)
})
