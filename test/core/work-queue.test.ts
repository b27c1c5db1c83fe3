import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { createWorkQueue, type Job } from '../../src/core/security/work-queue.ts'

/** Work that runs until it is told to finish. */
function createGates() {
  const gates: PromiseWithResolvers<void>[] = []
  return {
    started: () => gates.length,
    work: () => {
      const gate = Promise.withResolvers<void>()
      gates.push(gate)
      return gate.promise
    },
    finish: async (index: number) => {
      gates[index]?.resolve()
      await nextTurn()
    },
  }
}

describe('work queue', () => {
  it('hands over one more than there are threads, and the rest in the order in which they came', async () => {
    const queue = createWorkQueue(2)
    const gates = createGates()
    const finished: number[] = []
    const all = [0, 1, 2, 3, 4].map(async (index) => {
      await queue(gates.work)
      finished.push(index)
    })
    await nextTurn()
    assert.equal(gates.started(), 3)
    for (let index = 0; index < 5; index++) {
      await gates.finish(index)
      assert.equal(gates.started(), Math.min(5, index + 4))
    }
    await Promise.all(all)
    assert.deepEqual(finished, [0, 1, 2, 3, 4])
  })

  it('hands over one at a time where there is one thread', async () => {
    const queue = createWorkQueue(1)
    const gates = createGates()
    const all = [0, 1].map(() => queue(gates.work))
    await nextTurn()
    assert.equal(gates.started(), 1)
    await gates.finish(0)
    assert.equal(gates.started(), 2)
    await gates.finish(1)
    await Promise.all(all)
  })

  it('tells when a thread took the work up: what lies ready starts when the first of the others ends', async () => {
    const queue = createWorkQueue(2)
    const gates = createGates()
    const jobs: Job[] = []
    const all = [0, 1, 2, 3].map(() =>
      queue((job) => {
        jobs.push(job)
        return gates.work()
      }),
    )
    const first = performance.now()
    await sleep(20)
    await gates.finish(1)
    const second = performance.now()
    await sleep(20)
    await gates.finish(0)
    const [a, b, c, d] = jobs.map(({ startedAt }) => startedAt)
    assert.ok(Number(a) <= first && Number(b) <= first)
    assert.ok(Number(c) >= first + 19 && Number(c) <= second, `${c} after ${first}`)
    assert.ok(Number(d) >= second + 19, `${d} after ${second}`)
    for (const index of [2, 3]) await gates.finish(index)
    await Promise.all(all)
  })

  it('gives the result of the work, or its failure, and goes on after one', async () => {
    const queue = createWorkQueue(1)
    assert.equal(await queue(async () => 42), 42)
    const failure = new Error('failed')
    const outcomes = await Promise.allSettled([
      queue(() => Promise.reject(failure)),
      queue(async () => 'next'),
    ])
    assert.deepEqual(outcomes, [
      { status: 'rejected', reason: failure },
      { status: 'fulfilled', value: 'next' },
    ])
  })

  it('lets two seconds worth of work wait for each that runs, and refuses more at once', async () => {
    for (const concurrency of [1, 3]) {
      const queue = createWorkQueue(concurrency)
      const gates = createGates()
      const handedOver = concurrency === 1 ? 1 : concurrency + 1
      const admitted = handedOver + 80 * concurrency
      const all = Array.from({ length: admitted }, () => queue(gates.work))
      await assert.rejects(queue(gates.work), { code: 'server_busy', retryAfterSeconds: 2 })
      assert.equal(gates.started(), handedOver)
      for (let index = 0; index < admitted; index++) await gates.finish(index)
      await Promise.all(all)
      assert.equal(await queue(async () => 'free again'), 'free again')
    }
  })

  it('measures the work: where it is slow, less may wait', async () => {
    const queue = createWorkQueue(1)
    for (let count = 0; count < 3; count++) await queue(() => sleep(200))
    const gates = createGates()
    const outcomes = Array.from({ length: 60 }, () => queue(gates.work).catch(() => 'refused'))
    const refused = new Set<number>()
    outcomes.forEach(
      (outcome, index) => void outcome.then((value) => value === 'refused' && refused.add(index)),
    )
    await nextTurn()
    assert.ok(refused.size > 20, `${refused.size}`)
    for (let index = 0; index < 60; index++) await gates.finish(index)
    await Promise.all(outcomes)
  })

  it('tells how full it is, what it has refused, and of each piece of work when it has ended', async () => {
    const finished: Job[] = []
    const queue = createWorkQueue(2, (job) => finished.push(job))
    assert.deepEqual(queue.load(), { running: 0, waiting: 0, refused: 0 })
    const gates = createGates()
    const all = [0, 1, 2, 3, 4].map(() => queue(gates.work))
    await nextTurn()
    // What lies ready for the next thread waits as well.
    assert.deepEqual(queue.load(), { running: 2, waiting: 3, refused: 0 })
    await gates.finish(0)
    assert.deepEqual([queue.load(), finished.length], [{ running: 2, waiting: 2, refused: 0 }, 1])
    for (let index = 1; index < 5; index++) await gates.finish(index)
    await Promise.all(all)
    await assert.rejects(
      queue(() => Promise.reject(new Error('failed'))),
      /failed/,
    )
    assert.deepEqual([queue.load(), finished.length], [{ running: 0, waiting: 0, refused: 0 }, 6])
  })

  it('learns what the work costs: much of what is quick may wait', async () => {
    const queue = createWorkQueue(1)
    for (let count = 0; count < 100; count += 1) await queue(async () => {})
    const gates = createGates()
    const all = Array.from({ length: 200 }, () => queue(gates.work))
    await nextTurn()
    assert.deepEqual(queue.load(), { running: 1, waiting: 199, refused: 0 })
    for (let index = 0; index < all.length; index += 1) await gates.finish(index)
    await Promise.all(all)
  })
})
