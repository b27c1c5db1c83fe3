export type FailureTimes = {
  /** Takes into account what one verification took, of a bcrypt hash of this cost or, without one, of argon2. */
  observe(cost: number | undefined, ms: number): void
  /** When to answer a failure whose verification started then (`performance.now()`), while such bcrypt hashes remain. */
  answerAt(startedAt: number, slowestBcryptCost: number): number
}

/** Failures wait a little longer than hashes usually take, so that their own spread stays hidden as well. */
const MARGIN = 1.15
/** One verification may raise an estimate so far: a process that was stopped for a minute did not hash for one. */
const MAX_RISE = 1.25
/**
 * The share of the difference by which a quicker verification lowers it. Small, so that the estimate is the same
 * for failures on bcrypt hashes, which move it, and for those in between, which do not.
 */
const FALL = 0.005
/** As many as the limits let through at once for one account, by both of its names: these always queue as bcrypt would. */
const MOST_AT_ONCE = 10

/**
 * When failed sign-ins are answered while bcrypt hashes remain: as if each had kept one of `concurrency` threads
 * busy for as long as the slowest scheme does, so that not even many at once show which of them did.
 * @param maxQueueMs how long a failure waits for others at most, unless those of one account alone take longer
 */
export function createFailureTimes(concurrency: number, maxQueueMs: number): FailureTimes {
  const laneFreeAt = new Array<number>(concurrency).fill(0)
  let argon2Ms = 0
  let bcryptMsPerRound = 0

  return {
    observe(cost, ms) {
      if (cost === undefined) argon2Ms = follow(argon2Ms, ms)
      else bcryptMsPerRound = follow(bcryptMsPerRound, ms / 2 ** cost)
    },
    answerAt(startedAt, slowestBcryptCost) {
      const answerMs = Math.max(argon2Ms, bcryptMsPerRound * 2 ** slowestBcryptCost) * MARGIN
      const longestMs = Math.max(maxQueueMs, (MOST_AT_ONCE / concurrency) * answerMs)
      const freeAt = Math.min(...laneFreeAt)
      const turnAt = Math.min(Math.max(startedAt, freeAt), startedAt + longestMs)
      const answerAt = turnAt + answerMs
      laneFreeAt[laneFreeAt.indexOf(freeAt)] = answerAt
      return answerAt
    },
  }
}

/** The next estimate: it rises at once, for an answer that comes too soon tells a scheme, and falls slowly. */
function follow(estimate: number, measured: number): number {
  if (estimate === 0) return measured
  const limited = Math.min(measured, estimate * MAX_RISE)
  return Math.max(limited, estimate + (limited - estimate) * FALL)
}
