import type { Context } from '../../context.ts'
import { SECOND, toSeconds } from '../../core/clock.ts'
import { followFeed } from './follow-feed.ts'
import { toItem } from './list-revocations.ts'
import { readCursor, toCursor } from './places.ts'
import type { Revocation } from './queries.ts'

const ASKED_EVERY_MS = 10 * SECOND

type Message = { event: 'snapshot' | 'revocation' | 'heartbeat'; id?: string; data: object }

/**
 * The feed as a stream, from a cursor on. `snapshot` comes where it begins anew, `revocation` for each, `heartbeat` when all
 * that ended until `at` has been told.
 * @param mayRead asked every 10 seconds: the stream ends when its reader may not read any more
 */
export async function* streamRevocations(
  context: Pick<Context, 'db' | 'clock' | 'feed'>,
  {
    after,
    signal,
    mayRead,
  }: { after: string | undefined; signal: AbortSignal; mayRead: () => Promise<boolean> },
): AsyncGenerator<Message> {
  let askedAt = performance.now()
  for await (const news of followFeed(context, readCursor(after ?? ''), signal)) {
    const isHeartbeat = 'kind' in news
    // Whoever never gets to the end of a busy feed gets no heartbeat.
    if (isHeartbeat || performance.now() - askedAt >= ASKED_EVERY_MS) {
      if (!(await mayRead())) return
      askedAt = performance.now()
    }
    if (isHeartbeat) {
      yield { event: 'heartbeat', id: toCursor(news.end), data: { at: toSeconds(news.at) } }
    } else {
      // Without an id: who is cut off before the rest begins anew.
      if (news.isSnapshot) yield { event: 'snapshot', data: {} }
      yield* news.items.map(toMessage)
    }
  }
}

const toMessage = (revocation: Revocation): Message => ({
  event: 'revocation',
  id: toCursor(revocation),
  data: toItem(revocation),
})
