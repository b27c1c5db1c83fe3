import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { createWorkQueue } from '../../src/core/security/work-queue.ts'

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
  it('runs no more at once than it may, and the rest in the order in which they came', async () => {
    const queue = createWorkQueue(2)
    const gates = createGates()
    const finished: number[] = []
    const all = [0, 1, 2, 3, 4].map(async (index) => {
      await queue(gates.work)
      finished.push(index)
    })
    await nextTurn()
    assert.equal(gates.started(), 2)
    for (let index = 0; index < 5; index++) {
      await gates.finish(index)
      assert.equal(gates.started(), Math.min(5, index + 3))
    }
    await Promise.all(all)
    assert.deepEqual(finished, [0, 1, 2, 3, 4])
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
      const admitted = concurrency + 80 * concurrency
      const all = Array.from({ length: admitted }, () => queue(gates.work))
      await assert.rejects(queue(gates.work), { code: 'server_busy', retryAfterSeconds: 2 })
      assert.equal(gates.started(), concurrency)
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
})
