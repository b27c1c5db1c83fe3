import { setTimeout as sleep } from 'node:timers/promises'
import type { RateLimiterStoreAbstract } from 'rate-limiter-flexible'
import { type Clock, SECOND, type Timestamp } from '../core/clock.ts'
import type { Counters } from './counters.ts'

/** A store that takes longer counts as down: a sign-in waits for it. */
const TIME_OUT_MS = 500
/** How long a store that is down is left alone. */
const REST_MS = 5 * SECOND

/**
 * Counters that all nodes share. While their store is down, those of this process count instead: then an attacker has
 * as many tries as there are nodes, but never any number.
 */
export function createSharedCounters(
  store: RateLimiterStoreAbstract,
  local: Counters,
  clock: Clock,
): Counters {
  let restsUntil: Timestamp = 0
  return {
    async add(key, windowMs, points = 1) {
      if (clock.now() < restsUntil) return local.add(key, windowMs, points)
      try {
        const customDuration = windowMs / SECOND
        const result = await within(TIME_OUT_MS, store.penalty(key, points, { customDuration }))
        return { count: result.consumedPoints, msLeft: result.msBeforeNext }
      } catch {
        restsUntil = clock.now() + REST_MS
        return local.add(key, windowMs, points)
      }
    },
  }
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const ending = new AbortController()
  const timeOut = sleep(ms, undefined, { signal: ending.signal }).then(() => {
    throw new Error(`no answer within ${ms} ms`)
  })
  try {
    return await Promise.race([promise, timeOut])
  } finally {
    ending.abort()
    timeOut.catch(() => {})
    promise.catch(() => {})
  }
}
