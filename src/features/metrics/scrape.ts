import { AggregatorRegistry } from 'prom-client'
import type { Metric } from '../../core/instruments.ts'

/** The text format of Prometheus. */
export const METRICS_MEDIA_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/**
 * Gives what puts the metrics of one process, or of several together, into the text format of Prometheus.
 * Those who ask at once share one answer.
 */
export function createScrape(collect: () => Promise<Metric[][]>): () => Promise<string> {
  let underWay: Promise<string> | undefined
  return () => {
    underWay ??= collect()
      .then((processes) => AggregatorRegistry.aggregate(processes).metrics())
      .finally(() => {
        underWay = undefined
      })
    return underWay
  }
}
