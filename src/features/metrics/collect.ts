import type { Context } from '../../context.ts'
import type { Metric } from '../../core/instruments.ts'
import { readGauges } from './gauges.ts'
import { watchProcess } from './process.ts'

/** Gives what reads all metrics of this process. It answers whatever else is down. */
export function createCollector(context: Context): () => Promise<Metric[]> {
  const readProcess = watchProcess(context.database.kind)
  return async () => [...context.metrics.read(), ...readGauges(context), ...(await readProcess())]
}
