import { AsyncLocalStorage } from 'node:async_hooks'
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Context,
  type HrTime,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { millisToHrTime, parseTraceParent } from '@opentelemetry/core'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
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
/** How finely a share of the requests is told. */
const CHANCES = 2 ** 32

/** A request in whose name something is done; `timeOf` turns `performance.now()` into the time of day. */
type Underway = { context: Context; timeOf: (at: number) => HrTime }

/** Traces requests, and sends what comes of it to a collector (OTLP over HTTP). */
export function startTracing(settings: TracingSettings, log: FastifyBaseLogger): Tracing {
  const provider = createProvider(settings, log)
  const tracer = provider.getTracer('postern', VERSION)
  const current = new AsyncLocalStorage<Underway>()
  return {
    begin: ({ traceparent }) => beginRequest(tracer, current, traceparent),
    add(name, startedAt, attributes, failed = false) {
      const request = current.getStore()
      if (request === undefined) return
      const startTime = request.timeOf(startedAt)
      const span = tracer.startSpan(name, { startTime, attributes, kind: SpanKind.INTERNAL }, request.context)
      if (failed) span.setStatus({ code: SpanStatusCode.ERROR })
      span.end(request.timeOf(performance.now()))
    },
    stop: () => Promise.race([provider.shutdown().catch(() => {}), sleep(STOP_WITHIN_MS)]),
  }
}

function createProvider(settings: TracingSettings, log: FastifyBaseLogger): TracerProvider {
  const sampler = sampleByChance(settings.ratio)
  return new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': settings.serviceName,
      'service.version': VERSION,
      'service.instance.id': newId(),
      'process.pid': process.pid,
    }),
    // A caller may ask for less than our share of its requests, and not for more.
    sampler: new ParentBasedSampler({ root: sampler, remoteParentSampled: sampler }),
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

/** Not by the id of the trace, which a caller chooses. */
const sampleByChance = (ratio: number): Sampler => ({
  shouldSample: () => ({
    decision:
      randomInt(CHANCES) < ratio * CHANCES
        ? SamplingDecision.RECORD_AND_SAMPLED
        : SamplingDecision.NOT_RECORD,
  }),
  toString: () => `sampleByChance{${ratio}}`,
})

function beginRequest(
  tracer: Tracer,
  current: AsyncLocalStorage<Underway>,
  traceparent: unknown,
): RequestTrace | undefined {
  const remote = typeof traceparent === 'string' ? parseTraceParent(traceparent) : null
  const parent = remote ? trace.setSpanContext(ROOT_CONTEXT, { ...remote, isRemote: true }) : ROOT_CONTEXT
  const startedAt = performance.now()
  // One reading of the clock for the whole request: with one for each of its parts they would be a millisecond off.
  const offset = Date.now() - startedAt
  const timeOf = (at: number) => millisToHrTime(at + offset)
  const span = tracer.startSpan('request', { kind: SpanKind.SERVER, startTime: timeOf(startedAt) }, parent)
  if (!span.isRecording()) return undefined
  const context = trace.setSpan(ROOT_CONTEXT, span)
  return {
    id: span.spanContext().traceId,
    run: (work) => current.run({ context, timeOf }, work),
    end(reply) {
      describe(span, reply)
      span.end(timeOf(performance.now()))
    },
  }
}

function describe(
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
}
