import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'

const TIMEOUT_MS = 5000

export type RawReply = {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests read what the server sent as it is.
  body: any
}

/** Sends bytes that need not be HTTP to a port of this machine, and reads until the server closes. */
export async function exchange(port: number, request: string): Promise<RawReply> {
  const socket = connect(port, '127.0.0.1')
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`no end within ${TIMEOUT_MS} ms`)))
  await once(socket, 'connect')
  socket.write(request)
  const reply = await text(socket)
  const [head = '', body = ''] = reply.split('\r\n\r\n', 2)
  const [statusLine = '', ...lines] = head.split('\r\n')
  const headers = new Headers(
    lines.map((line): [string, string] => [line.replace(/:.*/, ''), line.replace(/^[^:]*: */, '')]),
  )
  return {
    status: Number(statusLine.split(' ')[1]),
    headers,
    body: body === '' ? undefined : JSON.parse(body),
  }
}
