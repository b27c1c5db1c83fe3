import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createFailureTimes } from '../../src/core/security/failure-times.ts'

const COST = 10
const HASH_MS = 200

const ANSWER_MS = 230

/** With one observed verification of 200 ms at cost 10. */
function createObserved(concurrency: number, maxQueueMs = 2000) {
  const times = createFailureTimes(concurrency, maxQueueMs)
  times.observe(COST, HASH_MS)
  const waits = (count: number, startedAt = 0) =>
    Array.from({ length: count }, () => Math.round(times.answerAt(startedAt, COST) - startedAt))
  return { times, waits }
}

describe('failure times', () => {
  it('a failure is answered when bcrypt would have been done, twice as late for each step of cost', () => {
    const { times, waits } = createObserved(1)
    assert.deepEqual(waits(1), [ANSWER_MS])
    assert.equal(Math.round(times.answerAt(10_000, COST + 2)), 10_000 + 4 * ANSWER_MS)
  })

  it('failures at once queue for as many threads as there are, as bcrypt would', () => {
    const { waits } = createObserved(2)
    assert.deepEqual(
      waits(5),
      [1, 1, 2, 2, 3].map((turns) => turns * ANSWER_MS),
    )
    assert.deepEqual(waits(1, 10_000), [ANSWER_MS])
  })

  it('no failure waits for others longer than the queue may be', () => {
    const { waits } = createObserved(1, 5000)
    assert.equal(Math.max(...waits(1000)), 5000 + ANSWER_MS)
  })

  it('however slow the machine, ten at once queue as bcrypt would', () => {
    const { waits } = createObserved(2, 500)
    assert.deepEqual(
      waits(10),
      [1, 1, 2, 2, 3, 3, 4, 4, 5, 5].map((turns) => turns * ANSWER_MS),
    )
    assert.equal(Math.max(...waits(1000)), 6 * ANSWER_MS)
  })

  it('follows slower hashes at once, and faster ones slowly', () => {
    const { times, waits } = createObserved(1)
    times.observe(COST, 1.2 * HASH_MS)
    assert.equal(waits(1)[0], 1.2 * ANSWER_MS)
    times.observe(COST, HASH_MS)
    const [afterOne = 0] = waits(1, 10_000)
    assert.ok(afterOne > 1.19 * ANSWER_MS && afterOne <= 1.2 * ANSWER_MS, `${afterOne}`)
    for (let count = 0; count < 1000; count++) times.observe(COST, HASH_MS)
    assert.ok(Math.abs((waits(1, 20_000)[0] ?? 0) - ANSWER_MS) <= 1)
  })

  it('one verification that was held up does not hold up all failures for as long', () => {
    const { times, waits } = createObserved(1)
    times.observe(COST, 60_000)
    assert.equal(waits(1)[0], Math.round(1.25 * ANSWER_MS))
  })

  it('a failure is answered no sooner than argon2 takes, though bcrypt be quicker', () => {
    const { times, waits } = createObserved(1)
    times.observe(undefined, 3 * HASH_MS)
    assert.equal(waits(1)[0], 3 * ANSWER_MS)
    assert.equal(Math.round(times.answerAt(10_000, COST + 2)), 10_000 + 4 * ANSWER_MS)
  })
})
