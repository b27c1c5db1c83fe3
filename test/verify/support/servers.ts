import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

/** A server with that listener, until the test ends; its address. */
export async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The same for what takes a `Request` and gives a `Response`. */
export function serveWeb(
  t: TestContext,
  handle: (request: Request) => Response | Promise<Response>,
): Promise<string> {
  return serve(t, async (incoming, outgoing) => {
    const headers = new Headers(
      Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
    )
    const {
      method = 'GET',
      url,
      headers: { host },
    } = incoming
    const response = await handle(new Request(`http://${host}${url}`, { method, headers }))
    outgoing.writeHead(response.status, Object.fromEntries(response.headers))
    outgoing.end(await response.text())
  })
}
