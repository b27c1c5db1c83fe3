import type { IncomingMessage, ServerResponse } from 'node:http'

/** One connection of a verifier to the feed; what comes over it is up to the test. */
export type FeedConnection = {
  request: IncomingMessage
  lastEventId: string | undefined
  isOpen(): boolean
  /** Text as it is. */
  send(text: string): void
  event(event: string, data: unknown, id?: string): void
  snapshot(): void
  endSession(sid: string, id: string, exp?: number): void
  revokeKey(kid: string, id: string, exp?: number): void
  /** @param at default: now */
  heartbeat(id: string, at?: number): void
  /** Ends the stream as a server does that goes away. */
  end(): void
  /** Breaks the connection off. */
  cut(): void
}

const seconds = (): number => Math.floor(Date.now() / 1000)
const HOUR = 3600

/** Begins the reply. */
export function feedConnection(request: IncomingMessage, response: ServerResponse): FeedConnection {
  const lastEventId = request.headers['last-event-id']
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' })
  response.flushHeaders()

  const send = (text: string) => void response.write(text)
  const event = (name: string, data: unknown, id?: string) =>
    send(`event: ${name}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`)

  return {
    request,
    lastEventId: typeof lastEventId === 'string' ? lastEventId : undefined,
    isOpen: () => !response.destroyed && !response.writableEnded,
    send,
    event,
    snapshot: () => event('snapshot', {}),
    endSession: (sid, id, exp = seconds() + HOUR) => event('revocation', { type: 'session', sid, exp }, id),
    revokeKey: (kid, id, exp = seconds() + HOUR) => event('revocation', { type: 'key', kid, exp }, id),
    heartbeat: (id, at = seconds()) => event('heartbeat', { at }, id),
    end: () => void response.end(),
    cut: () => void response.destroy(),
  }
}
