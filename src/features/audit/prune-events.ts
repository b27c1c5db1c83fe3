import type { Context } from '../../context.ts'
import type { Timestamp } from '../../core/clock.ts'
import { deleteInBatches } from '../../database/batches.ts'
import { followChain, signHead } from './chain.ts'
import { deleteSealedEvents, listSealedEvents, updateChain } from './chain-queries.ts'
import { lockChain } from './seal-events.ts'

const BATCH = 250

type Pruning = Pick<Context, 'db' | 'clock' | 'chainKey' | 'settings'>

/**
 * Deletes events older than AUDIT_RETENTION_DAYS from the beginning of the chain, in small batches so that requests go
 * between them, and signs where it begins since. What does not verify is kept. The signal ends it early.
 * @returns how many were deleted
 * @throws Error when the chain does not hold
 */
export function pruneEvents(context: Pruning, signal?: AbortSignal): Promise<number> {
  const before = context.clock.now() - context.settings.auditRetentionMs
  return deleteInBatches((limit) => pruneBatch(context, before, limit), signal, BATCH)
}

function pruneBatch({ db, chainKey }: Pruning, before: Timestamp, limit: number): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const chain = await lockChain(trx, chainKey)
    if (!chain) return 0
    const from = chain.pruned_seq + 1
    const events = await listSealedEvents(trx, { from, to: chain.seq, limit })
    const young = events.findIndex((event) => event.occurred_at >= before)
    const old = young === -1 ? events : events.slice(0, young)
    if (old.length === 0) return 0
    const start = { seq: chain.pruned_seq, hash: chain.pruned_hash }
    const { reached, broken } = followChain(chainKey, start, old)
    if (broken) throw new Error(`The audit log does not hold at number ${broken.seq}: nothing is pruned`)
    await deleteSealedEvents(trx, from, reached.seq)
    const head = { ...chain, pruned_seq: reached.seq, pruned_hash: reached.hash }
    const { pruned_seq, pruned_hash } = head
    await updateChain(trx, { pruned_seq, pruned_hash, mac: signHead(chainKey, head) })
    return old.length
  })
}
