import type { Db, StoredChain } from '../../database/tables.ts'
import { type Break, findFault, followChain, isGenuineHead, type Place } from './chain.ts'
import {
  FIRST_ID,
  findChain,
  findEventAbove,
  findEventUpTo,
  listSealedEvents,
  listUnsealedEvents,
} from './chain-queries.ts'

const PAGE = 1000

export type Verification = {
  /** Numbers of the first and last event that was verified; the first is above the last when there was none. */
  first: number
  last: number
  /** Events that were written without the key, and so could be anybody's. */
  unproven: number
  /** Events that are yet to be sealed. */
  unsealed: number
  broken: Break | undefined
}

type Progress = (verified: number) => void

/**
 * Verifies every event of the chain, and those that wait for their place in it, while servers may go on sealing and
 * pruning. A page at a time, however long the chain is.
 */
export async function verifyChain(db: Db, key: Buffer, onProgress: Progress): Promise<Verification> {
  const chain = await findChain(db)
  const result: Verification = { first: 1, last: 0, unproven: 0, unsealed: 0, broken: undefined }
  result.broken = checkHead(key, chain)
  if (!chain || result.broken) return result
  result.first = chain.pruned_seq + 1
  result.last = chain.pruned_seq
  result.broken =
    (await verifySealed(db, key, chain, result, onProgress)) ??
    (await findStray(db, key)) ??
    (await verifyUnsealed(db, key, result))
  return result
}

function checkHead(key: Buffer, chain: StoredChain | undefined): Break | undefined {
  if (!chain) return { what: 'head_missing', seq: null, id: null }
  return isGenuineHead(key, chain) ? undefined : { what: 'head_forged', seq: chain.seq, id: null }
}

async function verifySealed(
  db: Db,
  key: Buffer,
  chain: StoredChain,
  result: Verification,
  onProgress: Progress,
): Promise<Break | undefined> {
  let reached: Place = { seq: chain.pruned_seq, hash: chain.pruned_hash }
  while (reached.seq < chain.seq) {
    const to = Math.min(reached.seq + PAGE, chain.seq)
    // One more, so that a second event of the same number does not stay behind the page.
    const events = await listSealedEvents(db, { from: reached.seq + 1, to, limit: PAGE + 1 })
    const followed = followChain(key, reached, events)
    const { broken } = followed
    result.unproven += events.filter(({ mac }) => mac === null).length
    result.last = followed.reached.seq
    if (broken || followed.reached.seq < to) {
      const begun = await findBeginning(db, key, followed.reached)
      if (!begun) return broken ?? { what: 'missing', seq: followed.reached.seq + 1, id: null }
      reached = begun
    } else reached = followed.reached
    onProgress(reached.seq - chain.pruned_seq)
  }
  const isEnd = reached.seq > chain.seq || reached.hash === chain.hash
  return isEnd ? undefined : { what: 'out_of_place', seq: chain.seq, id: null }
}

/** Where the chain begins now, when servers have meanwhile pruned what was to be verified next. */
async function findBeginning(db: Db, key: Buffer, reached: Place): Promise<Place | undefined> {
  const chain = await findChain(db)
  if (!chain || !isGenuineHead(key, chain) || chain.pruned_seq <= reached.seq) return undefined
  return { seq: chain.pruned_seq, hash: chain.pruned_hash }
}

/** An event whose number is not within the chain, unless a server has sealed it just now. */
async function findStray(db: Db, key: Buffer): Promise<Break | undefined> {
  for (;;) {
    const chain = await findChain(db)
    if (!chain || !isGenuineHead(key, chain)) return checkHead(key, chain)
    const pruned = await findEventUpTo(db, chain.pruned_seq)
    if (pruned) return { what: 'was_pruned', ...pruned }
    const stray = await findEventAbove(db, chain.seq)
    if (!stray) return undefined
    if ((await findChain(db))?.seq === chain.seq) return { what: 'not_sealed_here', ...stray }
  }
}

async function verifyUnsealed(db: Db, key: Buffer, result: Verification): Promise<Break | undefined> {
  for (let after: string | undefined = FIRST_ID; after !== undefined; ) {
    const events = await listUnsealedEvents(db, { after, limit: PAGE })
    for (const event of events) {
      const what = findFault(key, event)
      if (what) return { what, seq: null, id: event.id }
      if (event.mac === null) result.unproven += 1
    }
    result.unsealed += events.length
    after = events.length === PAGE ? events.at(-1)?.id : undefined
  }
  return undefined
}
