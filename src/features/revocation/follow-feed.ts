import type { Context } from '../../context.ts'
import { SECOND, type Timestamp } from '../../core/clock.ts'
import type { Feed } from './feed.ts'
import type { Place } from './queries.ts'
import { type FeedPage, readFeed } from './read-feed.ts'

const PAGE = 500
const HEARTBEAT_MS = 10 * SECOND
/** What this process knows is up to date while it has looked so lately. */
const FRESH_MS = 2 * SECOND

/** What happens in the feed: something new, or nothing, which is worth knowing as well. */
export type FeedNews = FeedPage | { kind: 'heartbeat'; at: Timestamp; end: Place }

/**
 * The feed from a place on, for as long as the signal lets it go on. A heartbeat says that all that ended until now has been
 * told: none comes while the database is away.
 */
export async function* followFeed(
  context: Pick<Context, 'db' | 'clock' | 'feed'>,
  from: Place | undefined,
  signal: AbortSignal,
): AsyncGenerator<FeedNews> {
  const { clock, feed } = context
  let place = from
  let beatAt = Number.NEGATIVE_INFINITY
  while (!signal.aborted) {
    const seen = feed.changes()
    const page = await readFeed(context, place, PAGE)
    place = page.end
    if (page.items.length > 0 || page.isSnapshot) yield page
    if (page.hasMore || feed.changes() !== seen) continue
    const isFresh = clock.now() - feed.polledAt() < FRESH_MS
    if (isFresh && performance.now() - beatAt >= HEARTBEAT_MS) {
      beatAt = performance.now()
      yield { kind: 'heartbeat', at: feed.polledAt(), end: place }
    }
    const ms = isFresh ? beatAt + HEARTBEAT_MS - performance.now() : SECOND
    await waitForChange(feed, { seen, ms, signal })
  }
}

/** Until there is something new since `seen`, that time has passed, or the signal comes. */
function waitForChange(
  feed: Feed,
  { seen, ms, signal }: { seen: number; ms: number; signal: AbortSignal },
): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      stopListening()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    const stopListening = feed.onChange(end)
    signal.addEventListener('abort', end)
    // Both may have come while somebody took the last news.
    if (signal.aborted || feed.changes() !== seen) end()
  })
}
