import { isLoopback } from './addresses.ts'
import type { Values } from './variables.ts'

export type MetricsSettings = Readonly<
  /** A listener of its own; 0 takes any free port. */
  | { at: 'port'; host: string; port: number; token: string | undefined }
  /** A route beside the API. */
  | { at: 'route'; token: string }
  /** The primary process asks for them. */
  | { at: 'primary' }
>

export type TracingSettings = Readonly<{
  /** Of the collector, `/v1/traces` included. */
  url: string
  headers: Readonly<Record<string, string>>
  serviceName: string
  /** 0 to 1 */
  ratio: number
}>

export function createMetricsSettings({
  METRICS_PORT: port,
  METRICS_HOST: host,
  METRICS_TOKEN: token,
}: Values): MetricsSettings | undefined {
  if (port !== undefined) return { at: 'port', host, port, token }
  return token === undefined ? undefined : { at: 'route', token }
}

export function createTracingSettings(values: Values): TracingSettings | undefined {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } = values
  if (endpoint === undefined) return undefined
  return {
    url: `${endpoint}/v1/traces`,
    headers: values.OTEL_EXPORTER_OTLP_HEADERS,
    serviceName: values.OTEL_SERVICE_NAME,
    ratio: values.OTEL_TRACES_SAMPLER_ARG,
  }
}

/** Where the settings of /metrics contradict others; values may be incomplete. */
export function crossCheckMetrics({
  PORT: port,
  WORKERS: workers,
  METRICS_PORT: metricsPort,
  METRICS_TOKEN: token,
}: Values): string[] {
  const errors: string[] = []
  if (metricsPort !== undefined && metricsPort === port && port !== 0) {
    errors.push('METRICS_PORT: it is the same as PORT; expected another')
  }
  if (token !== undefined && metricsPort === undefined && workers > 1) {
    errors.push(
      'METRICS_PORT: it is not set, and one of several WORKERS cannot tell of the others; expected a port, since METRICS_TOKEN is set',
    )
  }
  return errors
}

export function warnOfOpenMetrics(metrics: MetricsSettings | undefined): string[] {
  if (metrics?.at !== 'port' || metrics.token !== undefined || isLoopback(metrics.host)) return []
  return [
    `METRICS_HOST: whoever reaches ${metrics.host} can read /metrics; set METRICS_TOKEN, or let only Prometheus get there`,
  ]
}
