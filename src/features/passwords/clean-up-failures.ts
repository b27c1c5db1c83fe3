import type { Context } from '../../context.ts'
import { DAY } from '../../core/clock.ts'
import { deleteInBatches } from '../../database/batches.ts'
import { deleteOldFailures } from './failure-queries.ts'

/** So long that forgetting them gives nobody a guess worth waiting for. */
const KEPT_FOR_MS = 366 * DAY

/** Deletes failures of long ago. The signal ends it early. */
export const cleanUpFailures = (
  { db, clock }: Pick<Context, 'db' | 'clock'>,
  signal?: AbortSignal,
): Promise<number> =>
  deleteInBatches((limit) => deleteOldFailures(db, clock.now() - KEPT_FOR_MS, limit), signal)
