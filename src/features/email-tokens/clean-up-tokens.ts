import type { Context } from '../../context.ts'
import { deleteInBatches } from '../../database/batches.ts'
import { deleteExpiredRegistrations } from '../registrations/queries.ts'
import { deleteExpiredEmailTokens } from './queries.ts'

/** Deletes tokens and registrations that have expired. The signal ends it early. */
export async function cleanUpEmailTokens(
  { db, clock }: Pick<Context, 'db' | 'clock'>,
  signal?: AbortSignal,
): Promise<void> {
  const now = clock.now()
  await deleteInBatches((limit) => deleteExpiredEmailTokens(db, now, limit), signal)
  await deleteInBatches((limit) => deleteExpiredRegistrations(db, now, limit), signal)
}
