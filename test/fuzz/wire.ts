import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PlainReply } from '../support/openapi.ts'

export type Outcome = {
  /** Everything that came back. */
  received: Buffer
  /** Whether the server ended the connection, or reset it, within the time. */
  closed: boolean
  ms: number
}

type Sending = {
  port: number
  timeoutMs: number
  /** Says that nothing follows. */
  end?: boolean
}

/** Writes bytes to the server as they are, and collects what comes back until it closes the connection. */
export async function sendBytes(bytes: Uint8Array, { port, timeoutMs, end }: Sending): Promise<Outcome> {
  const startedAt = performance.now()
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const chunks: Uint8Array[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  // A reset is one way to close, and `close` follows it.
  socket.on('error', () => undefined)
  socket.write(bytes)
  if (end) socket.end()
  const timeout = new AbortController()
  const { signal } = timeout
  const closed = await Promise.race([
    once(socket, 'end', { signal }).then(isTrue, isTrue),
    once(socket, 'close', { signal }).then(isTrue, isTrue),
    sleep(timeoutMs, false, { signal }).catch(() => false),
  ])
  timeout.abort()
  socket.destroy()
  return { received: Buffer.concat(chunks), closed, ms: performance.now() - startedAt }
}

const isTrue = (): boolean => true

/** The final reply in what was received, informational ones before it skipped; undefined when there is none. */
export function parseReply(received: Buffer): PlainReply | undefined {
  const text = received.toString('latin1')
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const [statusLine = '', ...lines] = text.slice(0, headEnd).split('\r\n')
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1])
  const rest = received.subarray(headEnd + 4)
  if (status < 200) return parseReply(rest)
  return { status, headers: Object.fromEntries(lines.map(splitHeader)), text: rest.toString('utf8') }
}

function splitHeader(line: string): [string, string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
}
