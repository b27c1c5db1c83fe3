import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, MINUTE, SECOND, systemClock } from '../../src/core/clock.ts'
import { createMemoryCounters } from '../../src/counters/memory.ts'
import { openRedisCounters } from '../../src/counters/redis.ts'
import { API, createMovableClock } from '../kit.ts'
import { addHundred, upTo } from '../support/counters.ts'
import { createTestDatabase } from '../support/databases.ts'
import { nextAddress, tally, WRONG } from '../support/guesses.ts'
import { findFreePort } from '../support/postgres.ts'
import { query } from '../support/query.ts'
import { startFakeRedis, startRedis, withoutRedis } from '../support/redis.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import { startServerProcess } from '../support/server-process.ts'
import { until } from '../support/until.ts'

/** As long as one that was down is left alone. */
const REST_MS = 5 * SECOND

describe('counters in Redis or Valkey', () => {
  const skip = withoutRedis ?? false

  it('a hundred at once on each of two nodes count as two hundred, until the window has passed', {
    skip,
  }, async (t) => {
    const { url } = await startRedis(t)
    const [one, two] = [await openRedis(t, url), await openRedis(t, url)]
    const key = 'key'
    assert.deepEqual(await one.counters.add(key, SECOND, 0), { count: 0, msLeft: SECOND })
    await Promise.all([addHundred(one.counters, key), addHundred(two.counters, key)])
    const { count, msLeft } = await one.counters.add(key, MINUTE, 0)
    assert.equal(count, 200)
    assert.ok(msLeft > MINUTE - 10 * SECOND && msLeft <= MINUTE, `${msLeft} ms`)
    assert.equal((await one.counters.add(key, MINUTE, -1)).count, 199)
    const short = 'short'
    assert.equal((await one.counters.add(short, SECOND)).count, 1)
    assert.equal((await two.counters.add(short, SECOND)).count, 2)
    await sleep(1100)
    assert.equal((await one.counters.add(short, SECOND)).count, 1)
    assert.equal((await one.local.add(short, SECOND, 0)).count, 0, 'nothing was counted here')
    assert.equal(one.fallbacks() + two.fallbacks(), 0)
  })

  it('it goes away and comes back: this process counts on meanwhile, Redis again afterwards, and the operator is told once', {
    skip,
  }, async (t) => {
    const redis = await startRedis(t)
    const clock = createMovableClock()
    const nodes = [await openRedis(t, redis.url, clock), await openRedis(t, redis.url, clock)] as const
    const [one, two] = nodes
    const countAlone = () => nodes.map(({ fallbacks }) => fallbacks())
    const untilAsked = async () => {
      for (const { counters, fallbacks } of nodes) {
        await until('Redis is asked', async () => {
          clock.advance(REST_MS)
          const before = fallbacks()
          await counters.add('asked', MINUTE, 0)
          return fallbacks() === before
        })
      }
    }
    await untilAsked()
    assert.equal((await one.counters.add('key', MINUTE)).count, 1)
    assert.equal((await two.counters.add('key', MINUTE)).count, 2)

    await redis.kill()
    for (const { counters, local, warnings, fallbacks } of nodes) {
      const before = { told: warnings.length, alone: fallbacks() }
      const startedAt = performance.now()
      assert.deepEqual(await addHundred(counters, 'key'), upTo(100))
      assert.ok(performance.now() - startedAt < 1500)
      assert.equal((await local.add('key', MINUTE, 0)).count, 100)
      assert.deepEqual([warnings.length - before.told, fallbacks() - before.alone], [1, 100])
    }

    await redis.restart()
    await untilAsked()
    const before = countAlone()
    assert.deepEqual(await addHundred(one.counters, 'key'), upTo(100), 'it has forgotten what it had')
    assert.equal((await two.counters.add('key', MINUTE)).count, 101)
    assert.deepEqual(countAlone(), before)
  })

  it('while it is not there, this process counts, and no request waits', async (t) => {
    const { counters, warnings, fallbacks } = await openRedis(
      t,
      `redis://:secret@127.0.0.1:${await findFreePort()}`,
    )
    const startedAt = performance.now()
    assert.deepEqual(await addHundred(counters, 'one'), upTo(100))
    assert.ok(performance.now() - startedAt < 500)
    assert.equal(fallbacks(), 100)
    assert.equal(warnings.length, 1)
    assert.equal(
      warnings[0],
      'RATE_LIMIT_URL: The client is offline; until it answers, each process counts for itself',
    )
    assert.ok(!warnings[0]?.includes('secret'))
  })

  it('while it hangs, a request waits for a second, the others after it do not', async (t) => {
    const port = await startDeafServer(t)
    const { counters } = await openRedis(t, `redis://127.0.0.1:${port}`)
    await sleep(100)
    const startedAt = performance.now()
    assert.deepEqual(await addHundred(counters, 'one'), upTo(100))
    assert.ok(performance.now() - startedAt < 2500)
    const again = performance.now()
    assert.equal((await counters.add('one', MINUTE)).count, 101)
    assert.ok(performance.now() - again < 500)
  })

  it('one that takes a command and never answers is waited for once, then left alone for a while', async (t) => {
    const redis = await startFakeRedis(t, { EVALSHA: undefined, EVAL: undefined })
    const { counters, warnings } = await openRedis(t, redis.url)
    const tries = () => redis.asked('EVALSHA') + redis.asked('EVAL')
    while (redis.asked('CLIENT') === 0) await sleep(10)
    await sleep(100)
    assert.equal((await counters.add('one', MINUTE)).count, 1)
    assert.deepEqual(warnings, [
      'RATE_LIMIT_URL: no answer within 1000 ms; until it answers, each process counts for itself',
    ])
    assert.equal(tries(), 1)
    await sleep(100)
    assert.equal((await counters.add('one', MINUTE)).count, 2)
    assert.equal(tries(), 1)
    // A connection that breaks is no reason to end.
    redis.cut()
    await sleep(100)
    assert.equal((await counters.add('one', MINUTE)).count, 3)
  })
})

describe('two servers that count in one Redis', () => {
  it('of 200 guesses at one account at once, spread over both, each from an address of its own, 20 are let through in all', {
    skip: withoutRedis ?? false,
  }, async (t) => {
    const redis = await startRedis(t)
    const database = await createTestDatabase('postgres')
    t.after(() => database.drop())
    const env = {
      DATABASE_URL: database.url,
      SECRET_KEY,
      RATE_LIMITS: 'true',
      RATE_LIMIT_URL: redis.url,
      TRUSTED_PROXIES: '1',
    }
    const servers = [await startServerProcess(env), await startServerProcess(env)]
    t.after(() => Promise.all(servers.map((server) => server.stop())))
    const guesses = upTo(100).flatMap(() =>
      servers.map(({ call }) => {
        const form = { username: 'ada', password: WRONG }
        return call('POST', `${API}/auth/login`, { form, headers: { 'x-forwarded-for': nextAddress() } })
      }),
    )
    const { too_many_requests, ...passed } = tally(await Promise.all(guesses))
    assert.equal(too_many_requests, 180)
    // Some of them come when others have failed already, and are not even looked at.
    const { invalid_credentials = 0, too_many_failures = 0, ...others } = passed
    assert.equal(invalid_credentials + too_many_failures, 20)
    assert.deepEqual(others, {})
    const [row] = await query(database.url, 'SELECT failures FROM sign_in_failures')
    assert.equal(Number(row?.failures), invalid_credentials)
  })
})

async function openRedis(t: TestContext, url: string, clock: Clock = systemClock) {
  const warnings: string[] = []
  const warn = (message: string) => warnings.push(message)
  let fallbacks = 0
  const local = createMemoryCounters(clock)
  const counters = await openRedisCounters(url, local, {
    clock,
    warn,
    onFallback() {
      fallbacks += 1
    },
  })
  t.after(() => counters.close())
  return { counters, local, warnings, fallbacks: () => fallbacks }
}

/** Takes connections, and never says anything. */
async function startDeafServer(t: TestContext): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => sockets.add(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}
