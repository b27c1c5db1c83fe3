import { LRUCache } from 'lru-cache'
import type { Clock, Timestamp } from '../core/clock.ts'
import type { Counters } from './counters.ts'

/** About 20 MB. Beyond it the counter that was used least recently is forgotten. */
const MAX_COUNTERS = 100_000

/** Counters of this process alone. */
export function createMemoryCounters(clock: Clock, max = MAX_COUNTERS): Counters {
  const counters = new LRUCache<string, { count: number; endsAt: Timestamp }>({ max })
  return {
    async add(key, windowMs, points = 1) {
      const now = clock.now()
      const found = counters.get(key)
      const counter = found && found.endsAt > now ? found : { count: 0, endsAt: now + windowMs }
      counter.count += points
      if (points !== 0) counters.set(key, counter)
      return { count: counter.count, msLeft: counter.endsAt - now }
    },
  }
}
