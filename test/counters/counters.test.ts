import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MINUTE, SECOND, systemClock } from '../../src/core/clock.ts'
import { newId } from '../../src/core/ids.ts'
import { cleanUpCounters } from '../../src/counters/clean-up-counters.ts'
import type { Counters } from '../../src/counters/counters.ts'
import { createMemoryCounters } from '../../src/counters/memory.ts'
import { openCounters } from '../../src/counters/open.ts'
import { createPostgresCounters } from '../../src/counters/postgres.ts'
import { openRedisCounters } from '../../src/counters/redis.ts'
import { openDatabase } from '../../src/database/connection.ts'
import { createMovableClock, onEachDatabase } from '../kit.ts'
import { findFreePort } from '../support/postgres.ts'
import { findRedis, startFakeRedis } from '../support/redis.ts'

const times = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

/** What a hundred additions at once give, whatever their order. */
async function addHundred(counters: Counters, key: string): Promise<number[]> {
  const counts = await Promise.all(times(100).map(() => counters.add(key, MINUTE)))
  return counts.map(({ count }) => count).sort((one, other) => one - other)
}

describe('counters in memory', () => {
  it('a hundred at once count as a hundred, each key for itself, until its window has passed', async () => {
    const clock = createMovableClock()
    const counters = createMemoryCounters(clock)
    assert.deepEqual(await addHundred(counters, 'one'), times(100))
    assert.deepEqual(await counters.add('other', MINUTE), { count: 1, msLeft: MINUTE })
    clock.advance(MINUTE - 1)
    assert.deepEqual(await counters.add('one', MINUTE), { count: 101, msLeft: 1 })
    clock.advance(1)
    assert.deepEqual(await counters.add('one', MINUTE), { count: 1, msLeft: MINUTE })
  })

  it('no more than so many are kept: the one used least recently is forgotten', async () => {
    const counters = createMemoryCounters(createMovableClock(), 100)
    await counters.add('first', MINUTE)
    for (const n of times(99)) {
      await counters.add(`n${n}`, MINUTE)
      await counters.add('first', MINUTE)
    }
    await counters.add('one more', MINUTE)
    assert.equal((await counters.add('first', MINUTE)).count, 101)
    assert.equal((await counters.add('n1', MINUTE)).count, 1)
    for (const n of times(200)) await counters.add(`looked at ${n}`, MINUTE, 0)
    assert.equal((await counters.add('first', MINUTE)).count, 102, 'to look keeps nothing')
  })
})

onEachDatabase('counters', ({ start, kind }) => {
  it('they are where all processes share them: in memory for one, in PostgreSQL for many, or where RATE_LIMIT_URL says', async () => {
    const { context, clock } = await start()
    const { database } = context
    const options = { clock, warn: () => {}, onFallback: () => {} }
    const { shared, local, close } = await openCounters(undefined, database, options)
    assert.equal(shared === local, kind === 'sqlite')
    await close()
    const redis = await openCounters('redis://127.0.0.1:1', database, options)
    assert.equal((await redis.shared.add('one', MINUTE)).count, 1)
    assert.equal((await redis.local.add('one', MINUTE)).count, 2, 'counts meanwhile')
    await redis.close()
  })

  it('a hundred at once count as a hundred; what is taken back is taken back; nothing is added for looking', async () => {
    const { counters } = (await start()).context
    assert.deepEqual(await addHundred(counters.shared, 'one'), times(100))
    assert.equal((await counters.shared.add('one', MINUTE, -10)).count, 90)
    assert.equal((await counters.shared.add('one', MINUTE, 0)).count, 90)
    const mixed = await Promise.all(
      [5, -2, 0, 1].map((points) => counters.shared.add('mixed', MINUTE, points)),
    )
    assert.deepEqual(
      mixed.map(({ count }) => count),
      [5, 3, 3, 4],
    )
  })

  it('to look opens no window, writes no row, and finds nothing of one that has passed', async () => {
    const { context, clock } = await start()
    const { shared } = context.counters
    await shared.add('passed', SECOND)
    clock.advance(SECOND)
    const looked = await Promise.all(['new', 'passed'].map((key) => shared.add(key, MINUTE, 0)))
    assert.deepEqual(
      looked,
      times(2).map(() => ({ count: 0, msLeft: MINUTE })),
    )
    clock.advance(SECOND)
    assert.deepEqual(await shared.add('new', MINUTE), { count: 1, msLeft: MINUTE })
    assert.deepEqual(await shared.add('new', MINUTE, 0), { count: 1, msLeft: MINUTE })
  })

  it('each key has a window of its own, which the first addition opens', async () => {
    const { context, clock } = await start()
    const { shared } = context.counters
    await shared.add('short', SECOND)
    await shared.add('long', MINUTE)
    clock.advance(SECOND)
    const [short, long] = await Promise.all([shared.add('short', SECOND), shared.add('long', MINUTE)])
    assert.deepEqual(short, { count: 1, msLeft: SECOND })
    assert.deepEqual(long, { count: 2, msLeft: MINUTE - SECOND })
  })

  it('those whose window has passed are deleted', async () => {
    const { context, clock, kind } = await start()
    const { shared } = context.counters
    await Promise.all(times(1200).map((n) => shared.add(`n${n}`, n <= 1100 ? SECOND : MINUTE)))
    clock.advance(SECOND)
    assert.equal(await cleanUpCounters(context), kind === 'postgres' ? 1100 : 0)
    assert.equal((await shared.add('n1101', MINUTE)).count, 2)
  })
})

onEachDatabase('counters of two nodes', ({ start, kind }) => {
  const skip = kind === 'sqlite' && 'SQLite is for one node'
  it('a hundred at once on each count as two hundred, whatever the order of their keys', {
    skip,
  }, async (t) => {
    const { context, clock, settings } = await start()
    const other = await openDatabase(settings.database)
    t.after(() => other.close())
    const nodes = [context, other].map(({ db }) => createPostgresCounters(db, clock))
    const keys = times(20).map((n) => `key${n}`)
    const orders = [keys, [...keys].reverse()]
    await Promise.all(
      times(100).flatMap(() =>
        nodes.flatMap((node, index) => (orders[index] ?? []).map((key) => node.add(key, MINUTE))),
      ),
    )
    for (const key of keys) assert.equal((await nodes[0]?.add(key, MINUTE, 0))?.count, 200)
  })
})

const redis = await findRedis()

describe('counters in Redis or Valkey', () => {
  const skip =
    redis === undefined && 'no Redis answers at TEST_REDIS_URL or 127.0.0.1:6379, and npm brings none'
  it('a hundred at once on each of two nodes count as two hundred, until the window has passed', {
    skip,
  }, async (t) => {
    const [one, two] = [openRedis(t, redis ?? ''), openRedis(t, redis ?? '')]
    const key = newId()
    await sleep(200)
    assert.deepEqual(await one.counters.add(key, SECOND, 0), { count: 0, msLeft: SECOND })
    await Promise.all([addHundred(one.counters, key), addHundred(two.counters, key)])
    const { count, msLeft } = await one.counters.add(key, MINUTE, 0)
    assert.equal(count, 200)
    assert.ok(msLeft > MINUTE - 10 * SECOND && msLeft <= MINUTE, `${msLeft} ms`)
    assert.equal((await one.counters.add(key, MINUTE, -1)).count, 199)
    const short = newId()
    assert.equal((await one.counters.add(short, SECOND)).count, 1)
    assert.equal((await two.counters.add(short, SECOND)).count, 2)
    await sleep(1100)
    assert.equal((await one.counters.add(short, SECOND)).count, 1)
    assert.equal((await one.local.add(short, SECOND, 0)).count, 0, 'nothing was counted here')
    assert.equal(one.fallbacks() + two.fallbacks(), 0)
  })

  it('while it is not there, this process counts, and no request waits', async (t) => {
    const { counters, warnings, fallbacks } = openRedis(
      t,
      `redis://:secret@127.0.0.1:${await findFreePort()}`,
    )
    const startedAt = performance.now()
    assert.deepEqual(await addHundred(counters, 'one'), times(100))
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
    const { counters } = openRedis(t, `redis://127.0.0.1:${port}`)
    await sleep(100)
    const startedAt = performance.now()
    assert.deepEqual(await addHundred(counters, 'one'), times(100))
    assert.ok(performance.now() - startedAt < 2500)
    const again = performance.now()
    assert.equal((await counters.add('one', MINUTE)).count, 101)
    assert.ok(performance.now() - again < 500)
  })

  it('one that takes a command and never answers is waited for once, then left alone for a while', async (t) => {
    const redis = await startFakeRedis(t, { EVALSHA: undefined, EVAL: undefined })
    const { counters, warnings } = openRedis(t, redis.url)
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

function openRedis(t: TestContext, url: string) {
  const warnings: string[] = []
  const warn = (message: string) => warnings.push(message)
  let fallbacks = 0
  const local = createMemoryCounters(systemClock)
  const counters = openRedisCounters(url, local, {
    clock: systemClock,
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
