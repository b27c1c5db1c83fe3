import type { Logger } from 'pino'
import type { Metric } from '../core/instruments.ts'

/** From the primary process to a worker, and back with the metrics. */
export type Question = { metricsFor: number }
type Answer = Question & { metrics: Metric[] }

const isQuestion = (message: unknown): message is Question =>
  typeof message === 'object' && message !== null && 'metricsFor' in message

export const isAnswer = (message: unknown): message is Answer => isQuestion(message) && 'metrics' in message

/** In a worker: tells the primary process the metrics whenever it asks. */
export function answerPrimary(collect: () => Promise<Metric[]>, log: Logger): void {
  const reply = async ({ metricsFor }: Question) => {
    const answer: Answer = { metricsFor, metrics: await collect() }
    if (process.connected) process.send?.(answer)
  }
  process.on('message', (message) => {
    if (!isQuestion(message)) return
    reply(message).catch((err) => log.error({ err }, 'the metrics could not be told'))
  })
}
