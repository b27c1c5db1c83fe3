import type { Worker } from 'node:cluster'
import { AggregatorRegistry } from 'prom-client'
import { SECOND } from '../core/clock.ts'
import type { Metric } from '../core/instruments.ts'
import { isAnswer, type Question } from './worker-questions.ts'

/** One that has not answered by then hangs, and the others are told without it. */
const ANSWER_WITHIN_MS = 2 * SECOND

export type WorkerMetrics = {
  add(worker: Worker): void
  /** Of each worker that answers in time, and what those counted that are gone or hang. */
  collect(): Promise<Metric[][]>
}

/**
 * In the primary process: the metrics of all workers. What a worker has counted is kept when it ends: a sum that fell
 * would look like a restart of the node, and what is left of it like a sudden increase. Only what it counted since it was
 * last asked is lost.
 */
export function createWorkerMetrics(wanted: number): WorkerMetrics {
  /** What each said when it was last asked. */
  const living = new Map<Worker, Metric[]>()
  let past: Promise<Metric[]> = Promise.resolve([])

  return {
    add(worker) {
      living.set(worker, [])
      worker.once('exit', () => {
        past = addUp(past, countersOf(living.get(worker) ?? []))
        living.delete(worker)
      })
    },
    async collect() {
      const answering = new Set<Worker>()
      const ask = async (worker: Worker) => {
        const metrics = await askWorker(worker)
        if (!metrics || !living.has(worker)) return
        answering.add(worker)
        living.set(worker, metrics)
      }
      await Promise.all([...living.keys()].map(ask))
      const told = [...living].map(([worker, last]) => (answering.has(worker) ? last : countersOf(last)))
      return [[tellOfWorkers(answering.size, wanted)], ...told, await past]
    },
  }
}

let questions = 0

async function askWorker(worker: Worker): Promise<Metric[] | undefined> {
  questions += 1
  const question: Question = { metricsFor: questions }
  const { promise, resolve } = Promise.withResolvers<Metric[] | undefined>()
  const timer = setTimeout(resolve, ANSWER_WITHIN_MS, undefined)
  const onMessage = (message: unknown) => {
    if (isAnswer(message) && message.metricsFor === question.metricsFor) resolve(message.metrics)
  }
  worker.on('message', onMessage)
  worker.send(question, (error) => error && resolve(undefined))
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    worker.off('message', onMessage)
  }
}

/** What only ever grows. */
const countersOf = (metrics: Metric[]): Metric[] => metrics.filter(({ type }) => type !== 'gauge')

async function addUp(earlier: Promise<Metric[]>, more: Metric[]): Promise<Metric[]> {
  const sum = await AggregatorRegistry.aggregate([await earlier, more]).getMetricsAsJSON()
  // Its declaration has an enum where the values are these very texts.
  return sum as unknown as Metric[]
}

const tellOfWorkers = (answering: number, wanted: number): Metric => ({
  name: 'postern_workers',
  help: 'Worker processes, by whether they answered this scrape in time',
  type: 'gauge',
  aggregator: 'sum',
  values: [
    { labels: { state: 'answering' }, value: answering },
    { labels: { state: 'silent' }, value: Math.max(0, wanted - answering) },
  ],
})
