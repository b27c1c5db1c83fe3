import type { Metrics } from '../core/metrics.ts'
import type { Job } from '../core/security/work-queue.ts'
import type { Tracing } from '../core/tracing.ts'
import { byOperation, type ObserveStatement } from '../database/meter.ts'

const MS_PER_SECOND = 1000

/** Takes the time of every statement, and makes a span of it. */
export function observeStatements(
  kind: 'sqlite' | 'postgres',
  metrics: Metrics,
  tracing: Tracing | undefined,
): ObserveStatement {
  const system = kind === 'postgres' ? 'postgresql' : 'sqlite'
  const take = byOperation(metrics.statement)
  const describe = byOperation((operation) => ({ name: `${operation} ${system}`, operation }))
  return (text, startedAt, failed) => {
    take(text)((performance.now() - startedAt) / MS_PER_SECOND)
    if (!tracing) return
    const { name, operation } = describe(text)
    // Only the text: the values are never a part of it.
    const attributes = { 'db.system.name': system, 'db.operation.name': operation, 'db.query.text': text }
    tracing.add(name, startedAt, attributes, failed)
  }
}

/** The same for every password hash. */
export function observeHashes(metrics: Metrics, tracing: Tracing | undefined): (job: Job) => void {
  return ({ startedAt }) => {
    metrics.hashSeconds((performance.now() - startedAt) / MS_PER_SECOND)
    tracing?.add('hash password', startedAt, {})
  }
}
