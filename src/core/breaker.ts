import type { Clock, Timestamp } from './clock.ts'

type BreakerOptions = {
  clock: Clock
  /** How long a service that failed is left alone. */
  restMs: number
  /** Told of the failure that breaks, and of none until the service has answered again. */
  onBreak: (error: unknown) => void
}

/** Does the work, or gives undefined when it fails, or when the service is being left alone. */
export type Breaker = <T>(work: () => Promise<T>) => Promise<T | undefined>

/** Keeps callers from waiting, each in turn, for a service that is down: after a rest one of them tries it. */
export function createBreaker({ clock, restMs, onBreak }: BreakerOptions): Breaker {
  /** Undefined while the service answers. */
  let restsUntil: Timestamp | undefined
  const rest = () => {
    restsUntil = clock.now() + restMs
  }
  return async (work) => {
    if (restsUntil !== undefined) {
      if (clock.now() < restsUntil) return undefined
      // Whoever comes while this one tries does not wait with it.
      rest()
    }
    try {
      const result = await work()
      restsUntil = undefined
      return result
    } catch (error) {
      if (restsUntil === undefined) onBreak(error)
      rest()
      return undefined
    }
  }
}
