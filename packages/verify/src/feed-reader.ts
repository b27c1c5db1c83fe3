import type { StreamEvent } from './event-stream.ts'
import type { Freshness } from './freshness.ts'
import { RequestError } from './requests.ts'
import { type Revocations, readHeartbeat, readRevocation } from './revocations.ts'

/** News that comes so late was held up: another connection may do better. */
const LATE_MS = 5_000

/** Takes in what the feed tells. */
export type FeedReader = {
  /** @throws RequestError for what is not understood, and news that was held up */
  take(event: StreamEvent): void
  /** Where to go on; undefined before anything came. */
  lastId(): string | undefined
}

export function createFeedReader({
  revocations,
  freshness,
  now,
  onKeyRevoked,
  onSnapshot,
  onCaughtUp,
}: {
  revocations: Revocations
  freshness: Freshness
  /** In ms: by this clock tokens expire. */
  now: () => number
  /** Told of each key that is revoked. */
  onKeyRevoked: (kid: string) => void
  /** Called when all begins anew: what was told before, and is kept no longer, may have been missed. */
  onSnapshot: () => void
  /** Called whenever everything has been told. */
  onCaughtUp: () => void
}): FeedReader {
  let lastId: string | undefined

  function takeRevocation(data: string): void {
    const { type, name, exp } = readRevocation(data)
    const names = type === 'session' ? revocations.sessions : revocations.keys
    names.add(name, exp)
    if (type === 'key') onKeyRevoked(name)
  }

  function takeHeartbeat(data: string): void {
    const at = readHeartbeat(data)
    const lateness = freshness.prove(at)
    onCaughtUp()
    // Both clocks must say so: a wrong one alone makes nothing forgotten.
    const time = Math.min(at, now() / 1000)
    revocations.sessions.forget(time)
    revocations.keys.forget(time)
    if (lateness > LATE_MS) throw new RequestError('the feed lags behind')
  }

  return {
    /** After `snapshot` all comes again. What is known stays: no session that has ended begins again. */
    take({ event, id, data }) {
      if (event === 'snapshot') onSnapshot()
      if (event === 'revocation') takeRevocation(data)
      if (event === 'heartbeat') takeHeartbeat(data)
      if (id !== undefined && /^[\x21-\x7e]{1,100}$/.test(id)) lastId = id
    },
    lastId: () => lastId,
  }
}
