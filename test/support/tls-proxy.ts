import { once } from 'node:events'
import {
  request as forward,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'

export type TlsProxy = {
  /** At `localhost`. */
  url: string
  /** Sends all requests to a server from now on, and may keep a header of the replies to itself. */
  forwardTo(url: string, without?: string): void
  answer(next: RequestListener): void
  close(): Promise<void>
}

/** What stands before Postern: speaks TLS, and sends requests on. */
export async function startTlsProxy(options: ServerOptions): Promise<TlsProxy> {
  let current: RequestListener = (_request, response) => response.writeHead(502).end()
  const server = createServer(options, (request, response) => current(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    forwardTo(url, without = '') {
      current = (request, response) => pass(request, response, url, without)
    },
    answer(next) {
      current = next
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function pass(request: IncomingMessage, response: ServerResponse, url: string, without: string): void {
  const { method, headers } = request
  const sent = forward(new URL(request.url ?? '/', url), { ...(method && { method }), headers }, (reply) => {
    const { [without]: _, ...kept } = reply.headers
    response.writeHead(reply.statusCode ?? 502, kept)
    reply.pipe(response)
  })
  sent.on('error', () => response.writeHead(502).end())
  request.pipe(sent)
}
