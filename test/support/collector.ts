import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

const SENT_WITHIN_MS = 10_000

/** A span as OTLP has it in JSON. */
export type ReceivedSpan = {
  name: string
  traceId: string
  spanId: string
  parentSpanId?: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  status: { code?: number }
  attributes: { key: string; value: Record<string, unknown> }[]
}

/** An OpenTelemetry collector as far as traces need one: a real HTTP server that keeps what it is sent. */
export type Collector = {
  url: string
  port: number
  headers: IncomingHttpHeaders[]
  paths: string[]
  resources: Record<string, unknown>[]
  spans(): ReceivedSpan[]
  /** The spans as soon as one of them fits. */
  waitFor(fits: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan>
  /** From now on it takes requests, and answers none. */
  hang(): void
  close(): Promise<void>
}

export async function startCollector(port = 0): Promise<Collector> {
  const headers: IncomingHttpHeaders[] = []
  const paths: string[] = []
  const resources: Record<string, unknown>[] = []
  const spans: ReceivedSpan[] = []
  let hangs = false
  const server = createServer(async (request, response) => {
    if (hangs) return
    headers.push(request.headers)
    paths.push(request.url ?? '')
    for (const { resource, scopeSpans } of (await readBody(request)).resourceSpans) {
      resources.push(toRecord(resource.attributes))
      for (const scope of scopeSpans) spans.push(...scope.spans)
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  await once(server.listen(port, '127.0.0.1'), 'listening')
  const address = server.address()
  const listening = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${listening}`,
    port: listening,
    headers,
    paths,
    resources,
    spans: () => spans,
    async waitFor(fits) {
      const end = performance.now() + SENT_WITHIN_MS
      while (performance.now() < end) {
        const found = spans.find(fits)
        if (found) return found
        await sleep(20)
      }
      throw new Error(`No such span among ${spans.map(({ name }) => name).join(', ')}`)
    },
    hang() {
      hangs = true
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

type Body = {
  resourceSpans: {
    resource: { attributes: ReceivedSpan['attributes'] }
    scopeSpans: { spans: ReceivedSpan[] }[]
  }[]
}

const readBody = async (request: AsyncIterable<Buffer>): Promise<Body> =>
  (await json(request as Parameters<typeof json>[0])) as Body

/** Attributes as a record. */
export const toRecord = (attributes: ReceivedSpan['attributes']): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
