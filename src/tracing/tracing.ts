import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { parseTraceParent } from '@opentelemetry/core'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { FastifyBaseLogger } from 'fastify'
import { newId } from '../core/ids.ts'
import type { TracingSettings } from '../core/settings/monitoring.ts'
import type { RequestTrace, Tracing } from '../core/tracing.ts'
import { VERSION } from '../core/version.ts'
import { createExporter } from './exporter.ts'

/** More than that waiting for a collector that is slow or down is dropped. */
const MAX_WAITING_SPANS = 2048
const MAX_BATCH = 512
const SEND_EVERY_MS = 2000
const STOP_WITHIN_MS = 2000

/** Traces requests, and sends what comes of it to a collector (OTLP over HTTP). */
export function startTracing(settings: TracingSettings, log: FastifyBaseLogger): Tracing {
  const provider = createProvider(settings, log)
  const tracer = provider.getTracer('postern', VERSION)
  const current = new AsyncLocalStorage<Context>()
  return {
    begin: ({ traceparent }) => beginRequest(tracer, current, traceparent),
    add(name, startedAt, attributes, failed = false) {
      const parent = current.getStore()
      if (parent === undefined) return
      const span = tracer.startSpan(
        name,
        { startTime: startedAt, attributes, kind: SpanKind.INTERNAL },
        parent,
      )
      if (failed) span.setStatus({ code: SpanStatusCode.ERROR })
      span.end(performance.now())
    },
    stop: () => Promise.race([provider.shutdown().catch(() => {}), sleep(STOP_WITHIN_MS)]),
  }
}

function createProvider(settings: TracingSettings, log: FastifyBaseLogger): TracerProvider {
  const ratio = new TraceIdRatioBasedSampler(settings.ratio)
  return new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': settings.serviceName,
      'service.version': VERSION,
      'service.instance.id': newId(),
      'process.pid': process.pid,
    }),
    // A caller may ask for less than our share of its requests, and not for more.
    sampler: new ParentBasedSampler({ root: ratio, remoteParentSampled: ratio }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: createExporter(settings, log),
        maxQueueSize: MAX_WAITING_SPANS,
        maxExportBatchSize: MAX_BATCH,
        scheduledDelayMillis: SEND_EVERY_MS,
      }),
    ],
  })
}

function beginRequest(
  tracer: Tracer,
  current: AsyncLocalStorage<Context>,
  traceparent: unknown,
): RequestTrace | undefined {
  const remote = typeof traceparent === 'string' ? parseTraceParent(traceparent) : null
  const parent = remote ? trace.setSpanContext(ROOT_CONTEXT, { ...remote, isRemote: true }) : ROOT_CONTEXT
  const span = tracer.startSpan('request', { kind: SpanKind.SERVER }, parent)
  if (!span.isRecording()) return undefined
  const context = trace.setSpan(ROOT_CONTEXT, span)
  return {
    id: span.spanContext().traceId,
    run: (work) => current.run(context, work),
    end: (reply) => endRequest(span, reply),
  }
}

function endRequest(
  span: Span,
  { method, route, status, requestId, userId }: Parameters<RequestTrace['end']>[0],
): void {
  span.updateName(`${method} ${route}`)
  span.setAttributes({
    'http.request.method': method,
    'http.route': route,
    'http.response.status_code': status,
    'postern.request_id': requestId,
    ...(userId !== undefined && { 'user.id': userId }),
  })
  if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
  span.end()
}
