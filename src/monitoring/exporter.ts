import { ExportResultCode } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import type { SpanExporter } from '@opentelemetry/sdk-trace'
import type { FastifyBaseLogger } from 'fastify'
import type { TracingSettings } from '../core/settings/monitoring.ts'

/** For one batch, with whatever tries it takes. */
const TIMEOUT_MS = 3000

/** Sends spans to the collector, and tells once when that begins to fail, and once when it works again. */
export function createExporter({ url, headers }: TracingSettings, log: FastifyBaseLogger): SpanExporter {
  const exporter = new OTLPTraceExporter({ url, headers: { ...headers }, timeoutMillis: TIMEOUT_MS })
  let isFailing = false

  function tell(err: Error | undefined): void {
    if (isFailing === (err !== undefined)) return
    isFailing = err !== undefined
    if (isFailing)
      log.warn(
        { reason: err?.message, collector: url },
        'traces do not reach the collector; they are dropped',
      )
    else log.info({ collector: url }, 'traces reach the collector again')
  }

  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        const isSent = result.code === ExportResultCode.SUCCESS
        tell(isSent ? undefined : (result.error ?? new Error('no reason given')))
        done(result)
      }),
    shutdown: () => exporter.shutdown(),
  }
}
