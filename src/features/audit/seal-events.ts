import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Context } from '../../context.ts'
import { MINUTE } from '../../core/clock.ts'
import { boundIdle } from '../../database/bound-idle.ts'
import type { Db, StoredChain, StoredEvent } from '../../database/tables.ts'
import { findFault, isGenuineHead, linkEvent, type Place, signHead } from './chain.ts'
import {
  FIRST_ID,
  findChain,
  findHash,
  listUnsealedEvents,
  lockFreeChain,
  storePlaces,
  updateChain,
} from './chain-queries.ts'
import { toEntry } from './entry.ts'
import { recordEvent } from './events.ts'

/** Few enough that on SQLite no request waits for long behind them. */
const BATCH = 250

/** What the sealer needs of the log. */
type Log = Record<'info' | 'error', (fields: object, message: string) => void>
type Sealing = Pick<Context, 'db' | 'clock' | 'chainKey'>
/** `reached` is undefined when another node was at it. */
type Batch = { events: StoredEvent[]; reached: Place | undefined; isRolledBack: boolean }

/**
 * Gives a function that seals every committed event that has no place in the chain yet, whichever node wrote it, and
 * writes each to the log. It never throws: what fails is tried again when it is next called. Of several nodes one seals
 * at a time; the others leave it to that one. The signal ends it early.
 */
export function createSealer(context: Sealing, log: Log): (signal: AbortSignal) => Promise<void> {
  /** Where the chain ended when this process last saw it: it must never again end before. */
  let seen: Place | undefined
  let isFailing = false

  async function seal(signal: AbortSignal): Promise<void> {
    for (;;) {
      const [waiting] = await listUnsealedEvents(context.db, { after: FIRST_ID, limit: 1 })
      if (!waiting) return
      const { events, reached, isRolledBack } = await sealBatch(context, seen)
      if (!reached) {
        if (context.clock.now() - waiting.occurred_at > MINUTE)
          throw new Error('the chain is locked, and nobody seals')
        return
      }
      if (isRolledBack) log.error({ seen, reached }, 'the audit log was set back: restored, or tampered with')
      seen = reached
      for (const event of events) tell(event)
      if (events.length < BATCH || signal.aborted) return
      await nextTurn()
    }
  }

  function tell(event: StoredEvent): void {
    log.info({ event: toEntry(event) }, 'audit')
    const fault = findFault(context.chainKey, event)
    if (fault) log.error({ event: event.id, fault }, 'an audit event was tampered with before it was sealed')
  }

  return async (signal) => {
    try {
      await seal(signal)
      isFailing = false
    } catch (err) {
      if (!isFailing) log.error({ err }, 'audit events cannot be sealed; it is tried again every second')
      isFailing = true
    }
  }
}

function sealBatch({ db, clock, chainKey }: Sealing, seen: Place | undefined): Promise<Batch> {
  return db.transaction().execute(async (trx) => {
    await boundIdle(trx)
    const chain = await lockChain(trx, chainKey)
    if (!chain) return { events: [], reached: undefined, isRolledBack: false }
    const isRolledBack = seen !== undefined && !(await contains(trx, chain, seen))
    if (isRolledBack) {
      const detail = { seen_seq: seen.seq, found_seq: chain.seq }
      await recordEvent(trx, clock.now(), { type: 'audit.rolled_back', detail })
    }
    const events: StoredEvent[] = []
    let reached: Place = { seq: chain.seq, hash: chain.hash }
    for (const event of await listUnsealedEvents(trx, { after: FIRST_ID, limit: BATCH })) {
      reached = { seq: reached.seq + 1, hash: linkEvent(chainKey, reached, event) }
      events.push({ ...event, ...reached })
    }
    await storePlaces(
      trx,
      events.map(({ id, seq, hash }) => ({ id, seq, hash })),
    )
    const head = { ...chain, ...reached, sealed_at: clock.now() }
    await updateChain(trx, { ...reached, sealed_at: head.sealed_at, mac: signHead(chainKey, head) })
    return { events, reached, isRolledBack }
  })
}

/**
 * The chain, locked until the transaction ends; undefined while another node has locked it.
 * @throws Error when nobody with the key has written it so
 */
export async function lockChain(trx: Db, key: Buffer): Promise<StoredChain | undefined> {
  const chain = await lockFreeChain(trx, {})
  if (!chain && (await findChain(trx))) return undefined
  if (!chain || !isGenuineHead(key, chain)) {
    throw new Error('The audit log was tampered with: `postern audit verify` tells more')
  }
  return chain
}

/** Whether the chain still has the event that was its end once, as far as that is not pruned. */
async function contains(db: Db, { pruned_seq, seq }: StoredChain, place: Place): Promise<boolean> {
  if (place.seq <= pruned_seq) return true
  return place.seq <= seq && (await findHash(db, { seq: place.seq }))?.hash === place.hash
}
