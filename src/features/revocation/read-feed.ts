import type { Context } from '../../context.ts'
import { follows, getEnd, isSamePlace, placeOf } from './places.ts'
import { listRevocationsAfter, type Place, type Revocation } from './queries.ts'

/** A part of the feed, and the place after it. */
export type FeedPage = {
  items: readonly Revocation[]
  end: Place
  /** Whether it begins anew with everything that is still worth knowing, since nothing follows the place that was asked for. */
  isSnapshot: boolean
  hasMore: boolean
}

/** What comes after a place; a snapshot where none is given, or the feed does not go on from it. */
export async function readFeed(
  context: Pick<Context, 'db' | 'feed'>,
  place: Place | undefined,
  limit: number,
): Promise<FeedPage> {
  const page = (items: readonly Revocation[], from: Place, isSnapshot = false): FeedPage => ({
    items,
    end: placeOf(items.at(-1) ?? from),
    isSnapshot,
    hasMore: items.length === limit,
  })
  const remembered = place && context.feed.after(place)
  if (place && remembered) return page(remembered.slice(0, limit), place)
  // First: what is published meanwhile is found by the next look.
  const end = await getEnd(context.db)
  if (place && isSamePlace(place, end)) return page([], place)
  const rows = place ? await listRevocationsAfter(context.db, { after: place.seq, limit }) : []
  if (place && follows(rows, place)) return page(rows, place)
  return page(await listRevocationsAfter(context.db, { after: 0, limit }), end, true)
}
