import type { Db } from '../../database/tables.ts'
import type { Break } from './chain.ts'
import { findChain, findHash } from './chain-queries.ts'

/** What an export or the log of a server has kept of an event. */
export type Kept = { id: string; seq: number; hash: string }

/** The event that a line of an export, or of a server's log, tells of; undefined when it is none that was sealed. */
export function readKept(line: string): Kept | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  const { event = value } = (value ?? {}) as { event?: unknown }
  const { id, seq, hash } = (event ?? {}) as Partial<Kept>
  const isKept = typeof id === 'string' && Number.isSafeInteger(seq) && typeof hash === 'string'
  return isKept ? { id, seq: Number(seq), hash } : undefined
}

/** Whether the chain still has an event that was told elsewhere, unless it is old enough to be pruned. */
export async function verifyAgainst(db: Db, { id, seq, hash }: Kept): Promise<Break | undefined> {
  const found = await findHash(db, { seq })
  if (found?.hash === hash) return undefined
  if (found) return { what: 'differs', seq, id }
  const chain = await findChain(db)
  return chain && seq <= chain.pruned_seq ? undefined : { what: 'missing', seq, id }
}
