import type { Db } from '../../database/tables.ts'
import { findEnd, type Place, type Revocation } from './queries.ts'

/** Where the feed ends, and whether something waits to be published. */
export async function getEnd(db: Db): Promise<Place & { hasUnpublished: boolean }> {
  const found = await findEnd(db, {})
  if (!found) throw new Error('The feed of revocations has no end: its row is gone')
  return { ...placeOf(found), hasUnpublished: Boolean(found.has_unpublished) }
}

export const placeOf = ({ seq, mark }: Place): Place => ({ seq, mark })

/** Whether it is the same also in the feed of a backup that was restored. */
export const isSamePlace = (one: Place, other: Place): boolean =>
  one.seq === other.seq && one.mark === other.mark

/** Whether these come next after a place, so that none is missed. */
export const follows = ([first]: readonly Revocation[], { seq, mark }: Place): boolean =>
  first?.seq === seq + 1 && first.previous_mark === mark

/** A place as readers keep it: number and mark. */
export const CURSOR = /^(0|[1-9]\d{0,15})\.([\w-]{1,32})$/

export const toCursor = ({ seq, mark }: Place): string => `${seq}.${mark}`

/** Undefined for what is none. */
export function readCursor(text: string): Place | undefined {
  const [, seq, mark] = CURSOR.exec(text) ?? []
  return seq !== undefined && mark !== undefined ? { seq: Number(seq), mark } : undefined
}
