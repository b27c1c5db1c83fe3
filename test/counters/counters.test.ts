import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MINUTE, SECOND } from '../../src/core/clock.ts'
import { cleanUpCounters } from '../../src/counters/clean-up-counters.ts'
import { createMemoryCounters } from '../../src/counters/memory.ts'
import { openCounters } from '../../src/counters/open.ts'
import { createPostgresCounters } from '../../src/counters/postgres.ts'
import { openDatabase } from '../../src/database/connection.ts'
import { createMovableClock, onEachDatabase } from '../kit.ts'
import { addHundred, upTo } from '../support/counters.ts'

describe('counters in memory', () => {
  it('a hundred at once count as a hundred, each key for itself, until its window has passed', async () => {
    const clock = createMovableClock()
    const counters = createMemoryCounters(clock)
    assert.deepEqual(await addHundred(counters, 'one'), upTo(100))
    assert.deepEqual(await counters.add('other', MINUTE), { count: 1, msLeft: MINUTE })
    clock.advance(MINUTE - 1)
    assert.deepEqual(await counters.add('one', MINUTE), { count: 101, msLeft: 1 })
    clock.advance(1)
    assert.deepEqual(await counters.add('one', MINUTE), { count: 1, msLeft: MINUTE })
  })

  it('no more than so many are kept: the one used least recently is forgotten', async () => {
    const counters = createMemoryCounters(createMovableClock(), 100)
    await counters.add('first', MINUTE)
    for (const n of upTo(99)) {
      await counters.add(`n${n}`, MINUTE)
      await counters.add('first', MINUTE)
    }
    await counters.add('one more', MINUTE)
    assert.equal((await counters.add('first', MINUTE)).count, 101)
    assert.equal((await counters.add('n1', MINUTE)).count, 1)
    for (const n of upTo(200)) await counters.add(`looked at ${n}`, MINUTE, 0)
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
    assert.deepEqual(await addHundred(counters.shared, 'one'), upTo(100))
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
      upTo(2).map(() => ({ count: 0, msLeft: MINUTE })),
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
    await Promise.all(upTo(1200).map((n) => shared.add(`n${n}`, n <= 1100 ? SECOND : MINUTE)))
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
    const keys = upTo(20).map((n) => `key${n}`)
    const orders = [keys, [...keys].reverse()]
    await Promise.all(
      upTo(100).flatMap(() =>
        nodes.flatMap((node, index) => (orders[index] ?? []).map((key) => node.add(key, MINUTE))),
      ),
    )
    for (const key of keys) assert.equal((await nodes[0]?.add(key, MINUTE, 0))?.count, 200)
  })
})
