import type { Context } from '../../context.ts'
import { HOUR } from '../../core/clock.ts'
import type { SessionId, UserId } from '../../core/ids.ts'
import type { Session } from '../../database/tables.ts'
import { livenessAt } from './liveness.ts'
import { listLiveSessions } from './queries.ts'

type Page = { userId: UserId; currentSessionId: SessionId; cursor: SessionId | undefined; limit: number }

/** A user's live sessions, newest first, a page at a time. */
export async function listSessions(context: Context, page: Page) {
  const rows = await listLiveSessions(context.db, page.userId, {
    ...livenessAt(context),
    before: page.cursor,
    limit: page.limit + 1,
  })
  const shown = rows.slice(0, page.limit)
  const last = shown.at(-1)
  return {
    items: shown.map((session) => describeSession(session, page.currentSessionId)),
    next: rows.length > page.limit && last ? last.id : null,
  }
}

const describeSession = (session: Session, currentSessionId: SessionId) => ({
  id: session.id,
  created_at: new Date(session.created_at).toISOString(),
  // Floored to the hour: a thief with an access token gets no clock of the owner's doings.
  last_used_at: new Date(Math.floor(session.rotated_at / HOUR) * HOUR).toISOString(),
  ip: session.ip,
  user_agent: session.user_agent,
  is_current: session.id === currentSessionId,
})
