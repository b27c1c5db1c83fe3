import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Context } from '../../context.ts'
import { DAY } from '../../core/clock.ts'
import { deleteOldFailures } from './failure-queries.ts'

/** So long that forgetting them gives nobody a guess worth waiting for. */
const KEPT_FOR_MS = 366 * DAY
const BATCH = 500

/** Deletes failures of long ago, in small batches so that requests go between them. The signal ends it early. */
export async function cleanUpFailures(
  { db, clock }: Pick<Context, 'db' | 'clock'>,
  signal?: AbortSignal,
): Promise<number> {
  let total = 0
  for (;;) {
    const deleted = await deleteOldFailures(db, clock.now() - KEPT_FOR_MS, BATCH)
    total += deleted
    if (deleted < BATCH || signal?.aborted) return total
    await nextTurn()
  }
}
