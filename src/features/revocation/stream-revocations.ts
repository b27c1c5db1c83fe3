import type { Context } from '../../context.ts'
import { toSeconds } from '../../core/clock.ts'
import { followFeed } from './follow-feed.ts'
import { toItem } from './list-revocations.ts'
import { readCursor, toCursor } from './places.ts'
import type { Revocation } from './queries.ts'

type Message = { event: 'snapshot' | 'revocation' | 'heartbeat'; id?: string; data: object }

/**
 * The feed as a stream, from a cursor on. `snapshot` comes where it begins anew, `revocation` for each, `heartbeat` when all
 * that ended until `at` has been told.
 * @param stillMayRead asked with each heartbeat; throws, and so ends the stream, when its reader may not read any more
 */
export async function* streamRevocations(
  context: Pick<Context, 'db' | 'clock' | 'feed'>,
  {
    after,
    signal,
    stillMayRead,
  }: { after: string | undefined; signal: AbortSignal; stillMayRead: () => Promise<void> },
): AsyncGenerator<Message> {
  for await (const news of followFeed(context, readCursor(after ?? ''), signal)) {
    if ('kind' in news) {
      await stillMayRead()
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
