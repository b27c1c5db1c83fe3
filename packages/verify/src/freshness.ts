type Instant = { monotonic: number; wall: number }

/** How old what is known may be said to be. */
export type Freshness = {
  /** A new connection has no past. */
  begin(): void
  /**
   * At that time of the server's, in seconds, everything had been told.
   * @returns how much later than others of this connection the news came, in ms
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
 * stood still, comes later after its time than other news did, and counts for that much less.
 */
export function createFreshness(): Freshness {
  let known: Instant | undefined
  let shortestDelay = Number.POSITIVE_INFINITY

  return {
    begin() {
      shortestDelay = Number.POSITIVE_INFINITY
    },
    prove(at) {
      const { monotonic, wall } = now()
      const delay = monotonic - at * 1000
      shortestDelay = Math.min(shortestDelay, delay)
      const lateness = Math.max(0, delay - shortestDelay - ROUNDING_MS)
      known = { monotonic: monotonic - lateness, wall: wall - lateness }
      return lateness
    },
    forget() {
      known = undefined
    },
    stalenessMs: () => (known ? since(known) : Number.POSITIVE_INFINITY),
  }
}

const now = (): Instant => ({ monotonic: performance.now(), wall: Date.now() })

/** The longer of the two: a clock that is set back makes nothing younger, and while a machine sleeps some stand still. */
const since = ({ monotonic, wall }: Instant): number =>
  Math.max(performance.now() - monotonic, Date.now() - wall)
