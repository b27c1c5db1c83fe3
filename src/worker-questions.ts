import type { Metric } from './core/instruments.ts'

/** From the primary process to a worker, and back with the metrics. */
export type Question = { metricsFor: number }
type Answer = Question & { metrics: Metric[] }

const isQuestion = (message: unknown): message is Question =>
  typeof message === 'object' && message !== null && 'metricsFor' in message

export const isAnswer = (message: unknown): message is Answer => isQuestion(message) && 'metrics' in message

/** In a worker: tells the primary process the metrics whenever it asks. */
export function answerPrimary(collect: () => Promise<Metric[]>): void {
  process.on('message', async (message) => {
    if (!isQuestion(message)) return
    const answer: Answer = { metricsFor: message.metricsFor, metrics: await collect() }
    if (process.connected) process.send?.(answer)
  })
}
