import { Problem } from '../problems.ts'

export type WorkQueue = <T>(work: () => Promise<T>) => Promise<T>

/** The most time that waiting work may be worth. */
export const MAX_WAIT_MS = 2000
/** What a piece of work is taken to cost before the first has been measured. */
const FIRST_ESTIMATE_MS = 25

/**
 * Runs work at most `concurrency` at once and keeps about two seconds' worth waiting.
 * @returns a function that runs one piece of work; it throws Problem `server_busy` at once when the queue is full
 */
export function createWorkQueue(concurrency: number): WorkQueue {
  const waiting: (() => void)[] = []
  let running = 0
  let averageMs = FIRST_ESTIMATE_MS

  const waitMs = () => (waiting.length * averageMs) / concurrency

  return async (work) => {
    if (running < concurrency) {
      running += 1
    } else {
      if (waitMs() >= MAX_WAIT_MS) {
        throw new Problem('server_busy', { retryAfterSeconds: Math.ceil(MAX_WAIT_MS / 1000) })
      }
      await new Promise<void>((start) => waiting.push(start))
    }
    const startedAt = performance.now()
    try {
      return await work()
    } finally {
      averageMs += (performance.now() - startedAt - averageMs) / 10
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }
}
