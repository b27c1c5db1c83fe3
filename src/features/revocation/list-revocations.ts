import type { Context } from '../../context.ts'
import { SECOND } from '../../core/clock.ts'
import { LONGEST_TOKEN_LIFE_MS } from '../../core/token-life.ts'
import { readCursor, toCursor } from './places.ts'
import type { Revocation } from './queries.ts'
import { readFeed } from './read-feed.ts'

/** A revocation as readers get it. */
export const toItem = ({ kind, subject, published_at }: Revocation) => ({
  type: kind,
  ...(kind === 'key' ? { kid: subject } : { sid: subject }),
  exp: Math.ceil((published_at + LONGEST_TOKEN_LIFE_MS) / SECOND),
})

/** A page of the feed, from a cursor on; a snapshot from the beginning for one that is none, or leads nowhere any more. */
export async function listRevocations(
  context: Pick<Context, 'db' | 'feed'>,
  { after, limit }: { after?: string; limit: number },
) {
  const { items, end, isSnapshot, hasMore } = await readFeed(context, readCursor(after ?? ''), limit)
  return { items: items.map(toItem), next: toCursor(end), snapshot: isSnapshot, has_more: hasMore }
}
