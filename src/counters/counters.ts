import type { Clock } from '../core/clock.ts'

/** What a counter stands at, and how long until it begins anew. */
export type Count = { count: number; msLeft: number }

/** Counts what happens within fixed windows of time. */
export type Counters = {
  /**
   * Adds to a counter in one atomic step, so that a hundred at once count as a hundred. The first to add opens the window.
   * With 0 points it is only looked at, and none is opened.
   * @param windowMs whole seconds
   * @param points less than 0 takes back what was added before
   */
  add(key: string, windowMs: number, points?: number): Promise<Count>
}

export type CountersOptions = {
  clock: Clock
  /** Tells the operator that counters which nodes share are away. */
  warn: (message: string) => void
  /** Called for each time that a process counts by itself, because they are. */
  onFallback: () => void
}
