import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** One of the Server-Sent Events (WHATWG HTML section 9.2). */
export type StreamedEvent = { event: string; id?: string; data: object }

/** Whether the client asks for a stream of events rather than a page. */
export const wantsEvents = ({ headers }: FastifyRequest): boolean =>
  headers.accept?.includes('text/event-stream') ?? false

/** Answers with events for as long as they come; `stop` is called when the client has gone, or they have ended. */
export function sendEvents(
  reply: FastifyReply,
  events: AsyncIterable<StreamedEvent>,
  stop: () => void,
): FastifyReply {
  const stream = Readable.from(toLines(events), { objectMode: false, highWaterMark: 64 * 1024 })
  stream.once('close', stop)
  return reply
    .headers({
      'content-type': 'text/event-stream; charset=utf-8',
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
