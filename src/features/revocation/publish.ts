import { randomBytes } from 'node:crypto'
import type { Context } from '../../context.ts'
import { boundIdle } from '../../database/bound-idle.ts'
import { listUnpublished, lockFeed, type Place, storePlaces } from './queries.ts'

const BATCH = 1000
const MARK_BYTES = 8

type Published = { seq: number; isAll: boolean }

/**
 * Gives what has been committed its place in the feed. Numbers that were taken before a commit could be committed in another
 * order, and a reader would miss one; here they are given by one node at a time, so that whoever sees a number sees all below.
 * @returns where the feed ends then, and whether nothing was left over; undefined when another process is at it
 */
export function publishRevocations({
  db,
  clock,
}: Pick<Context, 'db' | 'clock'>): Promise<Published | undefined> {
  return db.transaction().execute(async (trx) => {
    await boundIdle(trx)
    const end = await lockFeed(trx, {})
    if (!end) return undefined
    let place: Place = end
    const places = (await listUnpublished(trx, { limit: BATCH })).map(({ subject }) => {
      const previous_mark = place.mark
      place = { seq: place.seq + 1, mark: randomBytes(MARK_BYTES).toString('base64url') }
      return { subject, ...place, previous_mark }
    })
    if (places.length > 0) await storePlaces(trx, places, place, clock.now())
    return { seq: place.seq, isAll: places.length < BATCH }
  })
}
