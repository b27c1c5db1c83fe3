/** A time by both clocks. */
export type Instant = { monotonic: number; wall: number }

export const now = (): Instant => ({ monotonic: performance.now(), wall: Date.now() })

/** The longer of the two: a clock that is set back makes nothing younger, and while a machine sleeps some stand still. */
export const since = ({ monotonic, wall }: Instant): number =>
  Math.max(performance.now() - monotonic, Date.now() - wall)

export const before = ({ monotonic, wall }: Instant, ms: number): Instant => ({
  monotonic: monotonic - ms,
  wall: wall - ms,
})
