import { MINUTE } from '../../src/core/clock.ts'
import type { Counters } from '../../src/counters/counters.ts'

/** 1, 2, 3 and so on. */
export const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

/** What a hundred additions at once give, whatever their order. */
export async function addHundred(counters: Counters, key: string): Promise<number[]> {
  const counts = await Promise.all(upTo(100).map(() => counters.add(key, MINUTE)))
  return counts.map(({ count }) => count).sort((one, other) => one - other)
}
