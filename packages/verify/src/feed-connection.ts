import { readEvents, type StreamEvent } from './event-stream.ts'
import { type Fetch, open, RequestError } from './requests.ts'
import { authorization, type ServiceKey } from './service-key.ts'
import { startTimer } from './timing.ts'

const OPEN_TIMEOUT_MS = 5_000
/** Two heartbeats and a half. */
const SILENCE_MS = 25_000

/**
 * One connection to the feed, from an event on, until it ends or the signal comes.
 * @throws RequestError when it fails, or nothing has come for 25 s; and whatever the runtime and `onEvent` do
 */
export async function readFeed({
  url,
  fetch,
  key,
  lastId,
  signal,
  onRequest,
  onEvent,
}: {
  url: string
  fetch: Fetch
  key: ServiceKey
  lastId: string | undefined
  signal: AbortSignal
  /** Called before anything is sent. */
  onRequest: () => void
  onEvent: (event: StreamEvent) => void
}): Promise<void> {
  const connection = new AbortController()
  const silence = watchSilence()
  const close = () => connection.abort()
  signal.addEventListener('abort', close)
  try {
    const resume = lastId === undefined ? {} : { 'last-event-id': lastId }
    const headers = { accept: 'text/event-stream', ...(await authorization(key)), ...resume }
    onRequest()
    const response = await open(fetch, { url, headers }, OPEN_TIMEOUT_MS, connection)
    silence.restart()
    await Promise.race([readEvents(bodyOf(response), { onChunk: silence.restart, onEvent }), silence.broken])
  } finally {
    silence.stop()
    signal.removeEventListener('abort', close)
    connection.abort()
  }
}

function bodyOf({ headers, body }: Response): ReadableStream<Uint8Array> {
  const type = headers.get('content-type') ?? ''
  if (!body || !/^text\/event-stream *(;|$)/i.test(type)) {
    throw new RequestError('the server answered with something that is no event stream')
  }
  return body
}

/** Fails when it was not restarted for too long. */
function watchSilence(): { broken: Promise<never>; restart: () => void; stop: () => void } {
  let fail: (error: Error) => void = () => {}
  const broken = new Promise<never>((_resolve, reject) => {
    fail = reject
  })
  let stop = () => {}
  const restart = () => {
    stop()
    stop = startTimer(() => fail(new RequestError('the feed was silent for 25 seconds')), SILENCE_MS)
  }
  return { broken, restart, stop: () => stop() }
}
