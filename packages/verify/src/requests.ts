import { within } from './timing.ts'

export type Fetch = typeof globalThis.fetch

const MAX_BYTES = 2 ** 20

/** Why a request came to nothing, in words that hold nothing of what was sent with it. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
  /** That of the reply, where there was one. */
  readonly status: number | undefined

  constructor(message: string, status?: number) {
    super(message)
    this.status = status
  }
}

export type Question = {
  url: string
  headers: Record<string, string>
  /** Makes it a POST. */
  body?: string
}

/** Without `json` when the server says that it is as it was (304). */
export type Reply = { headers: Headers; json?: unknown }

/**
 * Asks for JSON, and reads the whole reply, 1 MiB at most.
 * @throws RequestError for every status but 200 and 304, and when there is no reply in time; and whatever the runtime does
 */
export function ask(fetch: Fetch, question: Question, timeoutMs: number): Promise<Reply> {
  const connection = new AbortController()
  const read = async (): Promise<Reply> => {
    const response = await send(fetch, question, connection.signal)
    const { status, headers } = response
    return status === 304 ? { headers } : { headers, json: parseJson(await readText(response)) }
  }
  return limited(read(), timeoutMs, connection)
}

/**
 * The reply as soon as it begins; its body is left to the caller, and ends with the connection.
 * @throws RequestError for every status but 200, and when there is no reply in time; and whatever the runtime does
 */
export function open(
  fetch: Fetch,
  question: Question,
  timeoutMs: number,
  connection: AbortController,
): Promise<Response> {
  return limited(send(fetch, question, connection.signal), timeoutMs, connection)
}

/** Follows no redirect: what is sent is meant for this server. */
async function send(fetch: Fetch, { url, headers, body }: Question, signal: AbortSignal): Promise<Response> {
  const method = body === undefined ? 'GET' : 'POST'
  const response = await fetch(url, {
    method,
    headers,
    redirect: 'manual',
    signal,
    ...(body !== undefined && { body }),
  })
  const { status } = response
  if (status === 200 || (status === 304 && 'if-none-match' in headers)) return response
  const code = findProblemCode(await readText(response))
  throw new RequestError(`answered ${status}${code === undefined ? '' : ` ${code}`}`, status)
}

async function limited<T>(work: Promise<T>, timeoutMs: number, connection: AbortController): Promise<T> {
  const onLate = () => new RequestError(`no answer within ${timeoutMs / 1000} seconds`)
  try {
    return await within(work, timeoutMs, onLate)
  } catch (error) {
    connection.abort()
    throw error
  }
}

async function readText({ body }: Response): Promise<string> {
  const reader = body?.getReader()
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  while (reader) {
    const { done, value } = await reader.read()
    if (done) break
    bytes += value.byteLength
    if (bytes > MAX_BYTES) throw new RequestError('the reply is larger than 1 MiB')
    text += decoder.decode(value, { stream: true })
  }
  return text + decoder.decode()
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new RequestError('the reply is no JSON')
  }
}

/** The `code` of a problem (RFC 9457), if it looks like one. */
function findProblemCode(text: string): string | undefined {
  const [, code] = /"code"\s*:\s*"([a-z]+(?:_[a-z]+)*)"/.exec(text) ?? []
  return code !== undefined && code.length <= 40 ? code : undefined
}

/** An error as it is told: of what runtimes write only the name, since the rest may hold what was sent. */
export function toRequestError(request: string, error: unknown): RequestError {
  const status = error instanceof RequestError ? error.status : undefined
  return new RequestError(`${request}: ${reasonOf(error)}`, status)
}

function reasonOf(error: unknown): string {
  if (error instanceof RequestError) return error.message
  const name = codeOf(error instanceof Error ? error.cause : undefined) ?? codeOf(error)
  if (name !== undefined) return name
  // So the standard calls whatever goes wrong with the network.
  if (error instanceof TypeError) return 'the connection failed'
  return error instanceof Error && isName(error.name) ? error.name : 'it failed'
}

function codeOf(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  return typeof code === 'string' && isName(code) ? code : undefined
}

/** As runtimes name errors: no key looks like that. */
const isName = (text: string): boolean => /^[A-Z]\w{0,49}$/.test(text)
