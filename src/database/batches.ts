import { setImmediate as nextTurn } from 'node:timers/promises'

const BATCH = 500

/**
 * Deletes in small batches, so that requests go between them, until nothing is left. The signal ends it early.
 * @param deleteSome deletes so many at most, and tells how many there were
 * @returns how many were deleted
 */
export async function deleteInBatches(
  deleteSome: (limit: number) => Promise<number>,
  signal?: AbortSignal,
  batch = BATCH,
): Promise<number> {
  let total = 0
  for (;;) {
    const deleted = await deleteSome(batch)
    total += deleted
    if (deleted < batch || signal?.aborted) return total
    await nextTurn()
  }
}
