import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export const sha1 = (text: string): string => createHash('sha1').update(text).digest('hex').toUpperCase()

/** A row for the password as a range API answers it. */
export const row = (password: string, count: number): string => `${sha1(password).slice(5)}:${count}`

/** A row of somebody else's. */
export const otherRow = (index: number, count = 3): string => row(`other ${index}`, count)

type Answer = (response: ServerResponse, request: IncomingMessage) => void

/** A service that answers as the test says, over real sockets. */
export type RangeServer = {
  url: string
  port: number
  /** What was asked, in order. */
  requests: { path: string; headers: IncomingMessage['headers'] }[]
  /** How it answers from now on. */
  answer(next: Answer): void
  answerRows(...rows: string[]): void
  close(): Promise<void>
}

export async function startRangeServer(port = 0): Promise<RangeServer> {
  const requests: RangeServer['requests'] = []
  let current: Answer = (response) => response.end(otherRow(0))
  const server = createServer((request, response) => {
    requests.push({ path: request.url ?? '', headers: request.headers })
    response.on('error', () => {})
    current(response, request)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const { port: actual } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${actual}/range/`,
    port: actual,
    requests,
    answer(next) {
      current = next
    },
    answerRows(...rows) {
      current = (response) => response.end(rows.join('\r\n'))
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
