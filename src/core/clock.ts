/** Milliseconds since the Unix epoch, UTC. */
export type Timestamp = number

/** The one source of time: tests move it, and on PostgreSQL every node shares the database's. */
export type Clock = { now(): Timestamp }

export const systemClock: Clock = { now: () => Date.now() }

export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

/** A JWT NumericDate (RFC 7519 section 2), cut to whole seconds. */
export const toSeconds = (time: Timestamp): number => Math.floor(time / SECOND)
