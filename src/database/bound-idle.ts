import { SECOND } from '../core/clock.ts'
import { adapterOf } from './compiled.ts'
import type { Db } from './tables.ts'

/** One that takes longer between two statements has been frozen, or cut off. */
const IDLE_MS = 5 * SECOND

/**
 * Has the database end a transaction that does nothing for so long: of a node that was frozen or cut off in the middle of it,
 * whose locks would hold up the others until TCP gives up.
 */
export async function boundIdle(trx: Db, ms = IDLE_MS): Promise<void> {
  await adapterOf(trx).boundIdle(ms)?.execute(trx)
}
