import type { Context } from '../../context.ts'
import { deleteInBatches } from '../../database/batches.ts'
import { REVOCATION_TTL_MS } from './lifetime.ts'
import { deleteRevocations } from './queries.ts'

/** Deletes what no token is left for, whatever the settings say now. The signal ends it early. */
export const cleanUpRevocations = (
  { db, clock }: Pick<Context, 'db' | 'clock'>,
  signal?: AbortSignal,
): Promise<number> =>
  deleteInBatches((limit) => deleteRevocations(db, clock.now() - REVOCATION_TTL_MS, limit), signal)
