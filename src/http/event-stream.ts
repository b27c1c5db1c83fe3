import { finished, Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'

const EVENT_STREAM = 'text/event-stream'

/** One of the Server-Sent Events (WHATWG HTML section 9.2). */
export type StreamedEvent = { event: string; id?: string; data: object }

/** One that is being followed. */
export type OpenStream = {
  /** Comes when it is to end. */
  signal: AbortSignal
  /** Called when the client has gone, or all has been sent. */
  close(): void
}

/** How long a client may take nothing of what waits for it; up to twice that, since Node counts anew what it took before. */
const STALLED_MS = 10_000
/** How long a client has to take what was sent before its stream ended. */
const LAST_EVENTS_MS = 1000

/** Whether the client asks for a stream of events rather than a page. */
export const wantsEvents = ({ method, headers }: FastifyRequest): boolean =>
  method === 'GET' && (headers.accept?.includes(EVENT_STREAM) ?? false)

/** Whether it was answered with one. */
export const isStream = (reply: FastifyReply): boolean =>
  String(reply.getHeader('content-type')).startsWith(EVENT_STREAM)

/** Answers with events for as long as they come: whoever makes them ends with the signal. */
export function sendEvents(
  reply: FastifyReply,
  events: AsyncIterable<StreamedEvent>,
  { signal, close }: OpenStream,
): FastifyReply {
  const stream = Readable.from(toLines(events), { objectMode: false, highWaterMark: 64 * 1024 })
  // Not when the stream closes: it waits for the next event first. The client may have gone before it began.
  finished(reply.raw, () => close())
  // It would keep its place, and what waits, for as long as its connection stands.
  reply.raw.setTimeout(STALLED_MS, () => {
    if (reply.raw.writableNeedDrain) reply.raw.destroy()
  })
  signal.addEventListener('abort', () => {
    // A reader who takes nothing would hold up whoever waits for the end of it.
    setTimeout(() => reply.raw.destroy(), LAST_EVENTS_MS).unref()
  })
  return reply
    .headers({
      'content-type': `${EVENT_STREAM}; charset=utf-8`,
      'cache-control': 'no-store',
      // A proxy that gathers what it passes on would keep them back.
      'x-accel-buffering': 'no',
    })
    .send(stream)
}

async function* toLines(events: AsyncIterable<StreamedEvent>): AsyncGenerator<string> {
  // A comment, with which the headers leave: the first event may be a while in coming.
  yield ':\n\n'
  for await (const { event, id, data } of events) {
    const lines = [
      `event: ${event}`,
      ...(id === undefined ? [] : [`id: ${id}`]),
      `data: ${JSON.stringify(data)}`,
    ]
    yield `${lines.join('\n')}\n\n`
  }
}
