import type { Context } from '../../context.ts'
import { DAY } from '../../core/clock.ts'
import { deleteInBatches } from '../../database/batches.ts'
import { deleteEndedSessions } from './ending-queries.ts'

/** Ended sessions stay this long, for whoever looks into what happened. */
const KEPT_FOR_MS = 30 * DAY

/** Deletes sessions that ended long ago. The signal ends it early. */
export const cleanUpSessions = (
  { db, clock }: Pick<Context, 'db' | 'clock'>,
  signal?: AbortSignal,
): Promise<number> =>
  deleteInBatches((limit) => deleteEndedSessions(db, clock.now() - KEPT_FOR_MS, limit), signal)
