import type { Db } from '../../database/tables.ts'
import { findEnd, type Place, type Revocation } from './queries.ts'

/** Where the feed ends. */
export async function findPlace({ db }: { db: Db }): Promise<Place & { hasUnpublished: boolean }> {
  const found = await findEnd(db, {})
  if (!found) throw new Error('The feed of revocations has no end: its row is gone')
  return { seq: found.seq, mark: found.mark, hasUnpublished: Boolean(found.has_unpublished) }
}

/** Whether it is the same also in the feed of a backup that was restored. */
export const isSamePlace = (one: Place, other: Place): boolean =>
  one.seq === other.seq && one.mark === other.mark

/** Whether these come next after a place, so that none is missed. */
export const follows = ([first]: readonly Revocation[], { seq, mark }: Place): boolean =>
  first?.seq === seq + 1 && first.previous_mark === mark

const CURSOR = /^(0|[1-9]\d{0,15})\.([\w-]{1,32})$/

/** A place as readers keep it. */
export const toCursor = ({ seq, mark }: Place): string => `${seq}.${mark}`

/** Undefined for what is none. */
export function readCursor(text: string): Place | undefined {
  const [, seq, mark] = CURSOR.exec(text) ?? []
  return seq !== undefined && mark !== undefined ? { seq: Number(seq), mark } : undefined
}
