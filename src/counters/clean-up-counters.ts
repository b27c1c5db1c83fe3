import type { Context } from '../context.ts'
import { deleteInBatches } from '../database/batches.ts'
import { deletePassedCounters } from './postgres.ts'

/** Deletes counters whose window has passed; those in memory do so themselves. The signal ends it early. */
export async function cleanUpCounters(
  { database: { kind, db }, clock }: Pick<Context, 'database' | 'clock'>,
  signal?: AbortSignal,
): Promise<number> {
  if (kind === 'sqlite') return 0
  return deleteInBatches((limit) => deletePassedCounters(db, clock.now(), limit), signal)
}
