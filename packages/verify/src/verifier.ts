import { createTokenCheck } from './check-tokens.ts'
import type { AccessClaims } from './claims.ts'
import { type Feed, followFeed } from './feed.ts'
import { createGap } from './gap.ts'
import { createKeys, type Keys } from './keys.ts'
import { readOptions, type VerifierOptions } from './options.ts'
import { waitUntilReady } from './ready.ts'
import { createRevocations } from './revocations.ts'
import type { ServiceKey } from './service-key.ts'

export type Verifier = {
  /**
   * The claims of an access token that is good now; frozen.
   * @throws TokenError and nothing else, whatever the text
   */
  verify(token: string): Promise<AccessClaims>
  /**
   * Comes when the keys are there and it is known which sessions have ended.
   * @throws Error which says what is missing, after 10 s or that time
   */
  ready(options?: { timeoutSeconds?: number }): Promise<void>
  /** How long ago it was last known which sessions have ended; infinity when it never was, keys are missing, or the server refuses. */
  stalenessSeconds(): number
  /** How many things are in memory: for your metrics. */
  counts(): { endedSessions: number; revokedKeys: number; keys: number; tokens: number }
  /** Ends the connection to the server. What was known gets old from then on. */
  close(): void
}

/**
 * Verifies the access tokens of one server. With revocations it connects at once, without them when it is first needed.
 * @throws TypeError with one sentence on the option that is wrong
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const settings = readOptions(options)
  const { issuer, api, fetch, now, revocations: following } = settings
  const onError = withoutThrowing(settings.onError)
  const life = new AbortController()
  const { signal } = life
  const revocations = createRevocations()
  const { has: isRevoked } = revocations.keys
  const keys = createKeys({ url: `${issuer}/.well-known/jwks.json`, fetch, isRevoked, onError, signal })
  const feed = following && follow(following.key)
  const gap =
    following && createGap({ ...following, stalenessMs, url: `${api}/auth/introspect`, fetch, onError })
  const tokens = createTokenCheck({ ...settings, keys, revocations, gap })

  function follow(key: ServiceKey): Feed {
    void keys.load()
    const url = `${api}/revocations`
    return followFeed({
      url,
      fetch,
      key,
      revocations,
      onKeyRevoked: keys.drop,
      onSnapshot: keys.reload,
      onError,
      now,
      signal,
    })
  }

  /** While keys are missing that the feed does not tell of, it proves nothing. */
  function stalenessMs(): number {
    return feed && keys.isLoaded() ? feed.stalenessMs() : Number.POSITIVE_INFINITY
  }

  return {
    verify: tokens.verify,
    ready: ({ timeoutSeconds = 10 } = {}) =>
      waitUntilReady(Promise.all([keys.load(), feed?.caughtUp]), {
        timeoutSeconds,
        signal,
        missing: () => describeMissing(keys, feed),
      }),
    stalenessSeconds: () => stalenessMs() / 1000,
    counts: () => ({
      endedSessions: revocations.sessions.size(),
      revokedKeys: revocations.keys.size(),
      keys: keys.size(),
      tokens: tokens.size(),
    }),
    close: () => life.abort(),
  }
}

function describeMissing(keys: Keys, feed: Feed | undefined): string {
  return keys.isLoaded()
    ? (feed?.failure()?.message ?? 'the feed of revocations has not caught up')
    : (keys.failure()?.message ?? 'the keys have not come')
}

/** What is wrong with a log is no reason to stop. */
const withoutThrowing =
  (onError: (error: Error) => void) =>
  (error: Error): void => {
    try {
      onError(error)
    } catch {}
  }
