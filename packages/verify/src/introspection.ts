import { ask, type Fetch, RequestError, toRequestError } from './requests.ts'
import { authorization, type ServiceKey } from './service-key.ts'
import { startTimer, within } from './timing.ts'
import { createTurns } from './turns.ts'

const TIMEOUT_MS = 2_000
const MOST_AT_ONCE = 32
/** An answer serves everybody who asks about the same token within that time. */
const SHARED_FOR_MS = 1_000
const TOLD_EVERY_MS = 1_000

/** Whether the server itself holds a token for good; undefined when it does not say. Never rejects. */
export type Introspect = (token: string) => Promise<boolean | undefined>

/** Asks the server about single tokens (RFC 7662). Each answer is waited for 2 s at most. */
export function createIntrospection({
  url,
  fetch,
  key,
  onError,
}: {
  url: string
  fetch: Fetch
  key: ServiceKey
  onError: (error: Error) => void
}): Introspect {
  const answers = new Map<string, Promise<boolean | undefined>>()
  let toldAt = Number.NEGATIVE_INFINITY
  const inTurn = createTurns(MOST_AT_ONCE)

  async function introspect(token: string): Promise<boolean | undefined> {
    const deadline = performance.now() + TIMEOUT_MS
    try {
      const answer = inTurn(() => request(token, deadline))
      return await within(answer, TIMEOUT_MS, late)
    } catch (error) {
      tell(toRequestError(`POST ${url}`, error))
      return undefined
    }
  }

  async function request(token: string, deadline: number): Promise<boolean> {
    if (performance.now() > deadline) throw late()
    const headers = {
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
      ...(await authorization(key)),
    }
    const body = String(new URLSearchParams({ token }))
    const { json } = await ask(fetch, { url, headers, body }, TIMEOUT_MS)
    return readAnswer(json)
  }

  /** Once a second: while the server is away every token fails. */
  function tell(error: Error): void {
    if (performance.now() - toldAt < TOLD_EVERY_MS) return
    toldAt = performance.now()
    onError(error)
  }

  return (token) => {
    const known = answers.get(token)
    if (known) return known
    const answer = introspect(token)
    answers.set(token, answer)
    startTimer(() => answers.delete(token), SHARED_FOR_MS)
    return answer
  }
}

const late = () => new RequestError(`no answer within ${TIMEOUT_MS / 1000} seconds`)

/** @throws RequestError when it is none (RFC 7662 section 2.2) */
function readAnswer(json: unknown): boolean {
  const active: unknown =
    typeof json === 'object' && json !== null && 'active' in json ? json.active : undefined
  if (typeof active !== 'boolean')
    throw new RequestError('the server did not answer whether the token is active')
  return active
}
