import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Context } from '../../context.ts'
import { DAY } from '../../core/clock.ts'
import { deleteEndedSessions } from './ending-queries.ts'

/** Ended sessions stay this long, for whoever looks into what happened. */
const KEPT_FOR_MS = 30 * DAY
const BATCH = 500

/** Deletes sessions that ended long ago, in small batches so that requests go between them. The signal ends it early. */
export async function cleanUpSessions(
  { db, clock }: Pick<Context, 'db' | 'clock'>,
  signal?: AbortSignal,
): Promise<number> {
  let total = 0
  for (;;) {
    const deleted = await deleteEndedSessions(db, clock.now() - KEPT_FOR_MS, BATCH)
    total += deleted
    if (deleted < BATCH || signal?.aborted) return total
    await nextTurn()
  }
}
