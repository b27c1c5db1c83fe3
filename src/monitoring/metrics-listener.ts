import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import { SECOND } from '../core/clock.ts'
import { newId } from '../core/ids.ts'
import type { Metric } from '../core/instruments.ts'
import { PROBLEMS, Problem, type ProblemCode, StartupError } from '../core/problems.ts'
import type { MetricsSettings } from '../core/settings/monitoring.ts'
import { createScrape, METRICS_MEDIA_TYPE } from '../features/metrics/scrape.ts'
import { requireMetricsToken } from '../features/metrics/token.ts'
import { bearerToken } from '../http/bearer-token.ts'
import { challengeOf, type Occurrence, PROBLEM_MEDIA_TYPE, problemBody } from '../http/problem-body.ts'

const PATH = '/metrics'
const REQUEST_TIMEOUT_MS = 5 * SECOND
const MAX_CONNECTIONS = 50

type Listening = Extract<MetricsSettings, { at: 'port' }>

/**
 * Serves `/metrics` and nothing else on a port of its own, from which no client of the API has anything to get.
 * @param collect the metrics of each process
 * @returns stops it
 * @throws StartupError when it cannot listen
 */
export async function listenForMetrics(
  { host, port, token }: Listening,
  publicUrl: string,
  log: Logger,
  collect: () => Promise<Metric[][]>,
): Promise<() => void> {
  const scrape = createScrape(collect)
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, async (request, response) => {
    const requestId = newId()
    response.setHeader('x-request-id', requestId).setHeader('cache-control', 'no-store')
    try {
      refuseUnfit(request, token)
      const body = await scrape()
      response.writeHead(200, { 'content-type': METRICS_MEDIA_TYPE }).end(body)
    } catch (error) {
      const code = error instanceof Problem ? error.code : 'internal_error'
      if (code === 'internal_error')
        log.error({ request_id: requestId, err: error }, 'the metrics could not be told')
      refuse(response, code, { publicUrl, instance: PATH, requestId })
    }
  })
  server.maxConnections = MAX_CONNECTIONS
  await listen(server, host, port)
  log.info({ metrics: `${addressOf(server)}${PATH}` }, 'the metrics have a port of their own')
  return () => {
    server.close()
    server.closeAllConnections()
  }
}

/** @throws Problem */
function refuseUnfit(request: IncomingMessage, token: string | undefined): void {
  requireMetricsToken(bearerToken(request), token)
  if (request.url?.split('?', 1)[0] !== PATH) throw new Problem('not_found')
  if (request.method !== 'GET' && request.method !== 'HEAD') throw new Problem('method_not_allowed')
}

function refuse(response: ServerResponse, code: ProblemCode, occurrence: Occurrence): void {
  const { status } = PROBLEMS[code]
  const challenge = challengeOf(code)
  response
    .writeHead(status, {
      'content-type': `${PROBLEM_MEDIA_TYPE}; charset=utf-8`,
      ...(challenge && { 'www-authenticate': challenge }),
      ...(status === 405 && { allow: 'GET, HEAD' }),
    })
    .end(JSON.stringify(problemBody(code, occurrence)))
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  try {
    await once(server.listen(port, host), 'listening')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new StartupError(
      `METRICS_PORT: cannot listen on ${host}:${port} (${code}); set METRICS_PORT or METRICS_HOST to another`,
      { cause: error },
    )
  }
}

function addressOf(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') return ''
  const { address: ip, port, family } = address
  return `http://${family === 'IPv6' ? `[${ip}]` : ip}:${port}`
}
