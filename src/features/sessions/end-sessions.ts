import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import type { SessionId, UserId } from '../../core/ids.ts'
import { Problem } from '../../core/problems.ts'
import { LONGEST_TOKEN_AFTER_USE_MS } from '../../core/token-life.ts'
import type { Db } from '../../database/tables.ts'
import { recordEvent } from '../audit/events.ts'
import { deleteAllEmailTokens } from '../email-tokens/queries.ts'
import { revokeAllKeys } from '../keys/revoke-keys.ts'
import { insertRevocationsOfSessions } from '../revocation/queries.ts'
import { recordSessionsEnded } from './ended-events.ts'
import {
  advanceAllSessionEpochs,
  advanceSessionEpoch,
  type EndReason,
  revokeAllSessions,
  revokeSession,
  revokeUserSessions,
} from './ending-queries.ts'
import { findSessionState } from './queries.ts'

/** Ends one session; that it has ended before is no failure. */
export async function endSession(
  { db, clock }: Context,
  sessionId: SessionId,
  reason: EndReason,
  caller?: Caller,
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const now = clock.now()
    const ended = await revokeSession(trx, sessionId, reason, now)
    if (!ended) return
    await recordSessionsEnded(trx, now, [sessionId], { userId: ended.user_id, reason, caller })
  })
}

/**
 * Ends one of the user's own sessions.
 * @throws Problem `session_not_found` also for somebody else's session
 */
export async function endOwnSession(
  context: Context,
  { userId, sessionId, caller }: { userId: UserId; sessionId: SessionId; caller: Caller },
): Promise<void> {
  const session = await findSessionState(context.db, sessionId)
  if (session?.user_id !== userId) throw new Problem('session_not_found')
  await endSession(context, sessionId, 'ended_by_user', caller)
}

/**
 * Ends a user's sessions in the caller's transaction, and every sign-in that is under way.
 * @param except the session that stays
 */
export async function endUserSessions(
  { clock }: Pick<Context, 'clock'>,
  trx: Db,
  {
    userId,
    reason,
    except,
    caller,
  }: { userId: UserId; reason: EndReason; except?: SessionId; caller?: Caller },
): Promise<number> {
  const now = clock.now()
  await advanceSessionEpoch(trx, userId)
  const ended = await revokeUserSessions(trx, userId, reason, now, except)
  await recordSessionsEnded(trx, now, ended, { userId, reason, caller })
  return ended.length
}

/** Ends a user's sessions on an operator's behalf, and every sign-in that is under way. */
export function endSessionsForOperator(
  context: Pick<Context, 'db' | 'clock'>,
  userId: UserId,
): Promise<number> {
  return context.db
    .transaction()
    .execute((trx) => endUserSessions(context, trx, { userId, reason: 'ended_by_operator' }))
}

/**
 * Ends every session of everyone, and every sign-in that is under way, however many there are. No key goes on, either: after
 * a restored backup there are tokens of sessions that the database knows nothing of. APIs hear of the keys, or with HS256 of
 * the sessions.
 */
export function endAllSessions({ database, clock }: Pick<Context, 'database' | 'clock'>): Promise<number> {
  return database.runAlone(async (trx) => {
    const now = clock.now()
    await advanceAllSessionEpochs(trx)
    // After a restored backup, what was used since could be used once more.
    await deleteAllEmailTokens(trx)
    const count = await revokeAllSessions(trx, 'ended_by_operator', now)
    if (!(await revokeAllKeys(trx, now))) {
      const usedSince = now - LONGEST_TOKEN_AFTER_USE_MS
      await insertRevocationsOfSessions(trx, { revokedAt: now, usedSince })
    }
    await recordEvent(trx, now, { type: 'sessions.ended', detail: { reason: 'ended_by_operator', count } })
    return count
  })
}
