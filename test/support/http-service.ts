import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

/** A service on a port of its own, until the test ends. @returns its origin */
export async function startHttpService(t: TestContext, listener: RequestListener): Promise<string> {
  const service = createServer(listener).listen(0, '127.0.0.1')
  await once(service, 'listening')
  t.after(() => {
    service.closeAllConnections()
    service.close()
  })
  return `http://127.0.0.1:${(service.address() as AddressInfo).port}`
}
