import type { Context } from '../../context.ts'
import { LONGEST_TOKEN_LIFE_MS } from '../../core/token-life.ts'
import { deleteInBatches } from '../../database/batches.ts'
import { deleteRevocations } from './queries.ts'

/** Deletes what no token is left for, whatever the settings say now. The signal ends it early. */
export const cleanUpRevocations = (
  { db, clock }: Pick<Context, 'db' | 'clock'>,
  signal?: AbortSignal,
): Promise<number> =>
  deleteInBatches((limit) => deleteRevocations(db, clock.now() - LONGEST_TOKEN_LIFE_MS, limit), signal)
