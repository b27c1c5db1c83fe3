import { type FetchedKeys, fetchKeys } from './fetch-keys.ts'
import { type Instant, now, since } from './instant.ts'
import type { KeySet } from './key-set.ts'
import { type Fetch, toRequestError } from './requests.ts'
import { pause, pauseAfter, within } from './timing.ts'
import { TokenError } from './token-error.ts'
import type { TokenKey } from './token-key.ts'

/** How often the server is asked for keys that are not among the known ones. */
const SEEK_EVERY_MS = 30_000
/** The same while none are known at all. */
const SEEK_FIRST_EVERY_MS = 1_000
/** When to ask again after a failure, with keys at hand. */
const RETRY_MS = 10_000
/** So long after a failure nobody waits for the next answer: a server that hangs holds things up once, not again and again. */
const UNAWAITED_MS = 60_000
/** Longer than a request takes: one that has not ended by then was dropped, as some runtimes do with what a client's request began. */
const DROPPED_MS = 6_000

/** The published keys, as they are known. */
export type Keys = {
  /** Undefined for what is the header of no known key. */
  find(header: string): TokenKey | undefined
  /** Asks for keys that are too old to be believed; undefined when nobody needs to wait for that. Never rejects. */
  freshen(): Promise<void> | undefined
  /**
   * Asks the server for it, if it was not asked lately.
   * @throws TokenError `unavailable` when the server does not say
   */
  seek(header: string): Promise<TokenKey | undefined>
  /** Forgets a key that has been revoked. */
  drop(kid: string): void
  /** Goes on asking until keys are there, or the verifier is closed. */
  load(): Promise<void>
  /** Loads old keys anew: whether they have been revoked is not told any more. */
  reload(): void
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
  let confirmed: { at: Instant; maxAgeMs: number } | undefined
  let failure: { at: Instant; error: Error } | undefined
  let soughtAt = Number.NEGATIVE_INFINITY
  /** When the request began that is under way. */
  let began: Instant | undefined
  let asking = Promise.resolve()
  let loading: Promise<void> | undefined

  const isOld = (): boolean => confirmed !== undefined && since(confirmed.at) > confirmed.maxAgeMs

  /** Never rejects; those who ask meanwhile share it. */
  function ask(): Promise<void> {
    if (!began || since(began) > DROPPED_MS) {
      began = now()
      asking = fetchOnce(began)
    }
    return asking
  }

  /** The same, for those who wait: should it be dropped, they ask by themselves. */
  const refresh = (): Promise<void> => within(ask(), DROPPED_MS, () => new Error()).catch(refresh)

  async function fetchOnce(at: Instant): Promise<void> {
    const fetched = await fetchKeys(server, { set: current, etag }, onError).catch((error: unknown) =>
      toRequestError(`GET ${server.url}`, error),
    )
    // Taken for dropped: a later one counts.
    if (began !== at) return asking
    began = undefined
    if (fetched instanceof Error) {
      failure = { at: now(), error: fetched }
      onError(fetched)
    } else take(fetched, at)
  }

  function take(fetched: FetchedKeys, at: Instant): void {
    current = without(fetched.set, isRevoked)
    etag = fetched.etag
    confirmed = { at, maxAgeMs: fetched.maxAgeMs }
    failure = undefined
    // What is there at first may be old already: it does not count.
    if (!isLoaded) soughtAt = Number.NEGATIVE_INFINITY
    isLoaded = true
  }

  async function loadAll(): Promise<void> {
    for (let failures = 1; !isLoaded && !signal.aborted; failures += 1) {
      await refresh()
      if (!isLoaded) await pause(pauseAfter(failures), signal)
    }
    loading = undefined
  }

  async function load(): Promise<void> {
    if (isLoaded) return
    loading ??= loadAll()
    await loading
  }

  return {
    find: (header) => current.get(header),
    freshen() {
      if (!isOld()) return undefined
      const failedMs = failure ? since(failure.at) : Number.POSITIVE_INFINITY
      if (failedMs > UNAWAITED_MS) return refresh()
      if (failedMs > RETRY_MS) void ask()
      return undefined
    },
    async seek(header) {
      const time = performance.now()
      const everyMs = isLoaded && current.size > 0 ? SEEK_EVERY_MS : SEEK_FIRST_EVERY_MS
      const isDue = time - soughtAt >= everyMs
      if (isDue) soughtAt = time
      if (isDue || began) await refresh()
      const key = current.get(header)
      if (!key && failure) throw new TokenError('unavailable')
      return key
    },
    drop(kid) {
      const kept = without(current, (other) => other === kid)
      if (kept.size === current.size) return
      current = kept
      // What signs instead may be new.
      void ask()
    },
    load,
    reload() {
      if (!isOld()) return
      isLoaded = false
      void load()
    },
    isLoaded: () => isLoaded,
    failure: () => failure?.error,
    size: () => current.size,
  }
}

const without = (keys: KeySet, isOut: (kid: string) => boolean): KeySet =>
  new Map([...keys].filter(([, { kid }]) => !isOut(kid)))
