import { Problem } from '../problems.ts'

/** One piece of work. */
export type Job = {
  /** When a thread took it up (`performance.now()`), as it turns out by its end. */
  startedAt: number
}

export type WorkQueue = {
  <T>(work: (job: Job) => Promise<T>): Promise<T>
  load(): QueueLoad
}

export type QueueLoad = {
  /** On a thread now. */
  running: number
  waiting: number
  /** Since the start: what found the queue full. */
  refused: number
}

/** The most time that waiting work may be worth. */
export const MAX_WAIT_MS = 2000
/** What a piece of work is taken to cost before the first has been measured. */
const FIRST_ESTIMATE_MS = 25

/**
 * Runs work on so many threads at once, which take it up in the order in which it is handed to them, and keeps about two
 * seconds' worth waiting. One piece more than there are threads lies ready for the first that is free: it need not wait
 * until the event loop has a moment.
 * @param onFinished is told of each piece of work when it has ended, in the asynchronous context of whoever asked for it
 * @returns a function that runs one piece of work; it throws Problem `server_busy` at once when the queue is full
 */
export function createWorkQueue(threads: number, onFinished: (job: Job) => void = () => {}): WorkQueue {
  const handedOver: Job[] = []
  const mostHandedOver = threads > 1 ? threads + 1 : 1
  const waiting: ((job: Job) => void)[] = []
  let averageMs = FIRST_ESTIMATE_MS
  let refused = 0

  const waitMs = () => (waiting.length * averageMs) / threads

  function handOver(): Job {
    const job = { startedAt: performance.now() }
    handedOver.push(job)
    return job
  }

  function finish(job: Job): void {
    const now = performance.now()
    averageMs += (now - job.startedAt - averageMs) / 10
    handedOver.splice(handedOver.indexOf(job), 1)
    const ready = handedOver[threads - 1]
    if (ready) ready.startedAt = now
    waiting.shift()?.(handOver())
  }

  async function run<T>(work: (job: Job) => Promise<T>): Promise<T> {
    if (handedOver.length >= mostHandedOver && waitMs() >= MAX_WAIT_MS) {
      refused += 1
      throw new Problem('server_busy', { retryAfterSeconds: Math.ceil(MAX_WAIT_MS / 1000) })
    }
    const job =
      handedOver.length < mostHandedOver ? handOver() : await new Promise<Job>((start) => waiting.push(start))
    try {
      return await work(job)
    } finally {
      onFinished(job)
      finish(job)
    }
  }

  const load = (): QueueLoad => {
    const running = Math.min(handedOver.length, threads)
    return { running, waiting: waiting.length + handedOver.length - running, refused }
  }
  return Object.assign(run, { load })
}
