import { fetchKeys } from './fetch-keys.ts'
import type { KeySet } from './key-set.ts'
import { type Fetch, toRequestError } from './requests.ts'
import { pause, pauseAfter } from './timing.ts'
import { TokenError } from './token-error.ts'
import type { TokenKey } from './token-key.ts'

/** How often the server is asked for keys that are not among the known ones. */
const SEEK_EVERY_MS = 30_000
/** The same while none are known at all. */
const SEEK_FIRST_EVERY_MS = 1_000
/** When to ask again after a failure, with keys at hand. */
const RETRY_MS = 10_000

/** The published keys, as they are known. */
export type Keys = {
  /** Undefined for what is the header of no known key. Once they are old, they are asked for again in the background. */
  find(header: string): TokenKey | undefined
  /**
   * Asks the server for it, if it was not asked lately.
   * @throws TokenError `unavailable` when the server does not say
   */
  seek(header: string): Promise<TokenKey | undefined>
  /** Forgets a key that has been revoked. */
  drop(kid: string): void
  /** Goes on asking until keys are there, or the verifier is closed. */
  load(): Promise<void>
  isLoaded(): boolean
  /** What the last attempt came to, if nothing. */
  failure(): Error | undefined
  size(): number
}

export function createKeys({
  isRevoked,
  onError,
  signal,
  ...server
}: {
  url: string
  fetch: Fetch
  isRevoked: (kid: string) => boolean
  onError: (error: Error) => void
  signal: AbortSignal
}): Keys {
  let current: KeySet = new Map()
  let etag: string | undefined
  let isLoaded = false
  let staleAt = Number.POSITIVE_INFINITY
  let soughtAt = Number.NEGATIVE_INFINITY
  let failure: Error | undefined
  let refreshing: Promise<void> | undefined
  let loading: Promise<void> | undefined

  /** Never rejects; those who ask meanwhile share it. */
  function refresh(): Promise<void> {
    refreshing ??= fetchOnce().finally(() => {
      refreshing = undefined
    })
    return refreshing
  }

  async function fetchOnce(): Promise<void> {
    try {
      const fetched = await fetchKeys(server, { set: current, etag }, onError)
      current = without(fetched.set, isRevoked)
      etag = fetched.etag
      staleAt = performance.now() + fetched.maxAgeMs
      // What is there at first may be old already: it does not count.
      if (!isLoaded) soughtAt = Number.NEGATIVE_INFINITY
      isLoaded = true
      failure = undefined
    } catch (error) {
      staleAt = performance.now() + RETRY_MS
      failure = toRequestError(`GET ${server.url}`, error)
      onError(failure)
    }
  }

  async function loadAll(): Promise<void> {
    for (let failures = 1; !isLoaded && !signal.aborted; failures += 1) {
      await refresh()
      if (!isLoaded) await pause(pauseAfter(failures), signal)
    }
  }

  return {
    find(header) {
      if (performance.now() > staleAt) void refresh()
      return current.get(header)
    },
    async seek(header) {
      const now = performance.now()
      const isDue = now - soughtAt >= (isLoaded ? SEEK_EVERY_MS : SEEK_FIRST_EVERY_MS)
      if (isDue) soughtAt = now
      if (isDue || refreshing) await refresh()
      const key = current.get(header)
      if (!key && failure) throw new TokenError('unavailable')
      return key
    },
    drop(kid) {
      const kept = without(current, (other) => other === kid)
      if (kept.size === current.size) return
      current = kept
      // What signs instead may be new.
      void refresh()
    },
    load() {
      loading ??= loadAll()
      return loading
    },
    isLoaded: () => isLoaded,
    failure: () => failure,
    size: () => current.size,
  }
}

const without = (keys: KeySet, isOut: (kid: string) => boolean): KeySet =>
  new Map([...keys].filter(([, { kid }]) => !isOut(kid)))
