import { RequestError } from './requests.ts'

/** One of the Server-Sent Events (WHATWG HTML section 9.2.6). */
export type StreamEvent = { event: string; id: string | undefined; data: string }

const MAX_EVENT_CHARS = 64 * 1024

/**
 * Reads events until the stream ends; one that is cut off in its middle is none.
 * @param onChunk called whenever anything comes at all
 * @throws RequestError when an event is larger than 64 Ki characters; and whatever `onEvent` does
 */
export async function readEvents(
  body: ReadableStream<Uint8Array>,
  { onChunk, onEvent }: { onChunk: () => void; onEvent: (event: StreamEvent) => void },
): Promise<void> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  const parse = createEventParser(onEvent)
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    onChunk()
    parse(decoder.decode(value, { stream: true }))
  }
}

/** Takes the text as it comes, in pieces of any length. */
export function createEventParser(onEvent: (event: StreamEvent) => void): (text: string) => void {
  let rest = ''
  let event = ''
  let id: string | undefined
  let data: string[] = []
  let length = 0

  function takeLine(line: string): void {
    length += line.length
    if (length > MAX_EVENT_CHARS) throw new RequestError('an event is larger than 64 KiB')
    if (line === '') dispatch()
    else takeField(readField(line))
  }

  function takeField([name, value]: [name: string, value: string]): void {
    if (name === 'event') event = value
    if (name === 'data') data.push(value)
    if (name === 'id' && !value.includes('\0')) id = value
  }

  function dispatch(): void {
    const complete = { event: event === '' ? 'message' : event, id, data: data.join('\n') }
    const isEmpty = data.length === 0
    event = ''
    id = undefined
    data = []
    length = 0
    if (!isEmpty) onEvent(complete)
  }

  return (text) => {
    // A carriage return at the end may be half of a line's end.
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ''
    for (const line of lines) takeLine(line)
    if (rest.length > MAX_EVENT_CHARS) throw new RequestError('an event is larger than 64 KiB')
  }
}

/** A line with its name and value; a comment has no name. */
function readField(line: string): [name: string, value: string] {
  const colon = line.indexOf(':')
  if (colon < 0) return [line, '']
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')]
}
