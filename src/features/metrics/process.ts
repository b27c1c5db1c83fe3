import { monitorEventLoopDelay } from 'node:perf_hooks'
import { collectDefaultMetrics, Registry } from 'prom-client'
import type { Metric } from '../../core/instruments.ts'
import { VERSION } from '../../core/version.ts'

const RESOLUTION_MS = 10
const NANOSECONDS = 1e9
/** prom-client leaves it out where metrics are put together, though it is only one process mostly. */
const START_TIME = 'process_start_time_seconds'
const OLDEST: Metric['aggregator'] = 'min'
const PERCENTILES = [50, 90, 99, 100]

/** Begins to watch this process: gives what reads memory, processor time, garbage collection and the event loop. */
export function watchProcess(database: 'sqlite' | 'postgres'): () => Promise<Metric[]> {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  for (const { name } of registry.getMetricsAsArray()) {
    // Ours says the same without the resolution of its timer in it, and the worst of several processes.
    if (name.startsWith('nodejs_eventloop_lag')) registry.removeSingleMetric(name)
  }
  const readEventLoop = watchEventLoop()
  const readDefaults = async () => {
    // Its declaration has an enum where the values are these very texts.
    const metrics = (await registry.getMetricsAsJSON()) as unknown as Metric[]
    return metrics.map((metric) => (metric.name === START_TIME ? { ...metric, aggregator: OLDEST } : metric))
  }
  const build = { version: VERSION, node: process.version, database }
  return async () => [
    {
      name: 'postern_build_info',
      help: 'Always 1: what is running',
      type: 'gauge',
      aggregator: 'first',
      values: [{ labels: build, value: 1 }],
    },
    readEventLoop(),
    ...(await readDefaults()),
  ]
}

/** How long what is due has waited for the event loop, since it was last asked. */
function watchEventLoop(): () => Metric {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delays.enable()
  const read = (percentile: number) =>
    Math.max(0, delays.percentile(percentile) / NANOSECONDS - RESOLUTION_MS / 1000)
  return () => {
    const values = PERCENTILES.map((percentile) => ({
      labels: { percentile: String(percentile) },
      value: delays.count === 0 ? 0 : read(percentile),
    }))
    delays.reset()
    return {
      name: 'postern_event_loop_delay_seconds',
      help: 'How late the event loop was since the last scrape, by percentile; 100 is the worst',
      type: 'gauge',
      aggregator: 'max',
      values,
    }
  }
}
