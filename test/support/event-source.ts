import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { setTimeout } from 'node:timers/promises'

export type ReceivedEvent = { event: string; id: string | undefined; data: Record<string, unknown> }

export type EventSource = {
  status: number
  headers: IncomingHttpHeaders
  /** What has come so far. */
  events: ReceivedEvent[]
  /** Until this holds of what has come. */
  until(holds: (events: ReceivedEvent[]) => boolean, withinMs?: number): Promise<void>
  /** When the server has ended the stream, or cut it. */
  ended: Promise<void>
  close(): void
}

/** Follows a stream of Server-Sent Events over a connection of its own. */
export async function openEventSource(url: string, token: string, lastId?: string): Promise<EventSource> {
  const headers = {
    accept: 'text/event-stream',
    authorization: `Bearer ${token}`,
    ...(lastId !== undefined && { 'last-event-id': lastId }),
  }
  const asked = request(url, { agent: false, headers }).end()
  const [reply] = (await once(asked, 'response')) as [IncomingMessage]
  const events: ReceivedEvent[] = []
  return {
    status: reply.statusCode ?? 0,
    headers: reply.headers,
    events,
    async until(holds, withinMs = 10_000) {
      const deadline = Date.now() + withinMs
      while (!holds(events)) {
        assert.ok(Date.now() < deadline, `only ${JSON.stringify(events.slice(-3))}`)
        await setTimeout(5)
      }
    },
    ended: read(reply, events).catch(() => {}),
    close: () => void asked.destroy(),
  }
}

async function read(reply: IncomingMessage, events: ReceivedEvent[]): Promise<void> {
  reply.setEncoding('utf8')
  let text = ''
  for await (const chunk of reply) {
    text += chunk
    const parts = text.split('\n\n')
    text = parts.pop() ?? ''
    if (reply.statusCode === 200) events.push(...parts.filter((part) => part !== ':').map(parse))
  }
}

function parse(part: string): ReceivedEvent {
  const fields = Object.fromEntries(
    part.split('\n').map((line) => {
      const [, name = '', value = ''] = /^(\w+): (.*)$/.exec(line) ?? assert.fail(line)
      return [name, value]
    }),
  )
  return { event: fields.event ?? '', id: fields.id, data: JSON.parse(fields.data ?? '{}') }
}
