import { before, type Instant, now, since } from './instant.ts'

/** How old what is known may be said to be. */
export type Freshness = {
  /** A new connection has no past. */
  begin(): void
  /**
   * At that time of the server's, in seconds, everything had been told.
   * @returns for how many ms the news was held up: as against what came quickest on this connection; the first news, as
   *   against the beginning of it
   */
  prove(at: number): number
  /** What was known may be out of date from now on. */
  forget(): void
  /** Infinity when nothing was proven yet. */
  stalenessMs(): number
}

/** The server writes whole seconds. */
const ROUNDING_MS = 1000

/**
 * Counts from when the news came, so clocks that differ do no harm. News that was held up, by a proxy or because this process
 * stood still, comes later after its time than other news did, and counts for that much less. The first news of a connection has
 * nothing to be compared with: it counts from when the connection began, since nobody can have written it before.
 */
export function createFreshness(): Freshness {
  let known: Instant | undefined
  let began = now()
  /** How long after its time news came, by each clock: at least. */
  let shortest: Instant | undefined

  return {
    begin() {
      began = now()
      shortest = undefined
    },
    prove(at) {
      const time = now()
      const delay = before(time, at * 1000)
      shortest = earlier(delay, shortest ?? before(began, at * 1000))
      const longer = Math.max(delay.monotonic - shortest.monotonic, delay.wall - shortest.wall)
      const lateness = Math.max(0, longer - ROUNDING_MS)
      known = before(time, lateness)
      return lateness
    },
    forget() {
      known = undefined
    },
    stalenessMs: () => (known ? since(known) : Number.POSITIVE_INFINITY),
  }
}

const earlier = (one: Instant, other: Instant): Instant => ({
  monotonic: Math.min(one.monotonic, other.monotonic),
  wall: Math.min(one.wall, other.wall),
})
