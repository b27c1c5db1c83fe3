import type { Context } from '../../context.ts'
import { findPlace, follows, isSamePlace } from './places.ts'
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
  const remembered = place && context.feed.after(place)
  if (place && remembered) return toPage(remembered.slice(0, limit), place, { isSnapshot: false, limit })
  // First: what is published meanwhile is found by the next look.
  const end = await findPlace(context)
  if (place && isSamePlace(place, end)) return toPage([], place, { isSnapshot: false, limit })
  const rows = place ? await listRevocationsAfter(context.db, { after: place.seq, limit }) : []
  if (place && follows(rows, place)) return toPage(rows, place, { isSnapshot: false, limit })
  const all = await listRevocationsAfter(context.db, { after: 0, limit })
  return toPage(all, end, { isSnapshot: true, limit })
}

function toPage(
  items: readonly Revocation[],
  place: Place,
  { isSnapshot, limit }: { isSnapshot: boolean; limit: number },
): FeedPage {
  const last = items.at(-1)
  const end = last ? { seq: last.seq, mark: last.mark } : place
  return { items, end, isSnapshot, hasMore: items.length === limit }
}
