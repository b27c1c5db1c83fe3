import { readFeed } from './feed-connection.ts'
import { createFeedReader } from './feed-reader.ts'
import { createFreshness } from './freshness.ts'
import { type Fetch, type RequestError, toRequestError } from './requests.ts'
import type { Revocations } from './revocations.ts'
import type { ServiceKey } from './service-key.ts'
import { pause, pauseAfter } from './timing.ts'

/** A connection that held so long was a good one. */
const STABLE_MS = 10_000
/** Where asking soon again would not help. */
const REFUSED_PAUSE_MS = 10_000

/** The feed of revocations, as it is followed. */
export type Feed = {
  /** Since it was last known that everything had been told; infinity before that, and when the server refuses to tell. */
  stalenessMs(): number
  /** Comes when everything has been told for the first time. */
  caughtUp: Promise<void>
  /** What the last connection came to, if it failed. */
  failure(): Error | undefined
}

/** Follows the feed until the signal comes, whatever happens to the connection. */
export function followFeed(input: {
  url: string
  fetch: Fetch
  key: ServiceKey
  revocations: Revocations
  onKeyRevoked: (kid: string) => void
  onSnapshot: () => void
  onError: (error: Error) => void
  now: () => number
  signal: AbortSignal
}): Feed {
  const { onError, signal } = input
  const freshness = createFreshness()
  let failure: Error | undefined
  let setCaughtUp = () => {}
  const caughtUp = new Promise<void>((resolve) => {
    setCaughtUp = resolve
  })
  const onCaughtUp = () => {
    failure = undefined
    setCaughtUp()
  }
  const reader = createFeedReader({ ...input, freshness, onCaughtUp })

  /** @returns how it failed, if it did not just end */
  async function connect(): Promise<RequestError | undefined> {
    try {
      await readFeed({
        ...input,
        lastId: reader.lastId(),
        onRequest: freshness.begin,
        onEvent: reader.take,
      })
      return undefined
    } catch (error) {
      return toRequestError(`GET ${input.url}`, error)
    }
  }

  async function follow(): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      const began = performance.now()
      const error = await connect()
      if (signal.aborted) return
      failures = performance.now() - began >= STABLE_MS ? 1 : failures + 1
      if (error) onFailure(error)
      await pause(isRefusal(error) ? REFUSED_PAUSE_MS : pauseAfter(failures), signal)
    }
  }

  function onFailure(error: RequestError): void {
    failure = error
    if (error.status === 401 || error.status === 403) freshness.forget()
    onError(error)
  }

  void follow()
  return { stalenessMs: freshness.stalenessMs, caughtUp, failure: () => failure }
}

/** Because of the key, or too many requests. */
const isRefusal = (error: RequestError | undefined): boolean => [401, 403, 429].includes(error?.status ?? 0)
