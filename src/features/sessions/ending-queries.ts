import type { ExpressionBuilder } from 'kysely'
import type { Timestamp } from '../../core/clock.ts'
import type { SessionId, UserId } from '../../core/ids.ts'
import { prepareRows } from '../../database/compiled.ts'
import type { Db, Tables } from '../../database/tables.ts'
import { isAlive, type Liveness } from './queries.ts'

/** Why a session ended before its time. */
export type EndReason =
  | 'logout'
  | 'signed_in_again'
  | 'ended_by_user'
  | 'ended_by_operator'
  | 'reuse_detected'
  | 'session_limit'
  | 'password_changed'
  | 'password_reset'
  | 'email_change_undone'
  | 'email_verified'
  | 'user_disabled'

/** Ends one session; undefined when it had ended before. */
export function revokeSession(
  db: Db,
  id: SessionId,
  reason: EndReason,
  now: Timestamp,
): Promise<{ user_id: UserId } | undefined> {
  return db
    .updateTable('sessions')
    .set({ revoked_at: now, revoked_reason: reason })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .returning('user_id')
    .executeTakeFirst()
}

/** Locks the user's row and fails every sign-in that is under way. First step of ending sessions together. */
export async function advanceSessionEpoch(db: Db, id: UserId): Promise<void> {
  await db
    .updateTable('users')
    .set((eb) => ({ session_epoch: eb('session_epoch', '+', 1) }))
    .where('id', '=', id)
    .execute()
}

export async function advanceAllSessionEpochs(db: Db): Promise<void> {
  await db
    .updateTable('users')
    .set((eb) => ({ session_epoch: eb('session_epoch', '+', 1) }))
    .execute()
}

/**
 * Ends a user's sessions. The caller has moved on `users.session_epoch` before, in the same transaction.
 * @param except the session that stays, if any
 * @returns the ids of those that ended
 */
export async function revokeUserSessions(
  db: Db,
  userId: UserId,
  reason: EndReason,
  now: Timestamp,
  except?: SessionId,
): Promise<SessionId[]> {
  const rows = await db
    .updateTable('sessions')
    .set({ revoked_at: now, revoked_reason: reason })
    .where('user_id', '=', userId)
    .where('revoked_at', 'is', null)
    .$if(except !== undefined, (query) => query.where('id', '!=', except as SessionId))
    .returning('id')
    .execute()
  return rows.map(({ id }) => id)
}

/** Locks a user's live sessions until the transaction ends: none is refreshed meanwhile, or ends. */
export async function lockLiveSessions(
  db: Db,
  { userId, ...liveness }: Liveness & { userId: UserId },
): Promise<SessionId[]> {
  const rows = await db
    .selectFrom('sessions')
    .select('id')
    .where('user_id', '=', userId)
    .where(isAlive(liveness))
    .forUpdate()
    .execute()
  return rows.map(({ id }) => id)
}

/** Ends every session there is. */
export async function revokeAllSessions(db: Db, reason: EndReason, now: Timestamp): Promise<number> {
  const result = await db
    .updateTable('sessions')
    .set({ revoked_at: now, revoked_reason: reason })
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  return Number(result.numUpdatedRows)
}

/** More than any SESSION_LIMIT that could have been lowered; SQLite takes no offset without a limit. */
const MAX_ENDED_AT_ONCE = 1000

type Excess = Liveness & {
  userId: UserId
  /** Stays, besides as many others as `others`. */
  newest: SessionId
  others: number
}

/** Ends the oldest of a user's live sessions beyond the limit; tells which ended. */
export const revokeSessionsBeyondLimit = prepareRows((db, excess: Excess) =>
  db
    .updateTable('sessions')
    .set({ revoked_at: excess.now, revoked_reason: 'session_limit' satisfies EndReason })
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('sessions')
        .select('sessions.id')
        .where('sessions.user_id', '=', excess.userId)
        .where('sessions.id', '!=', excess.newest)
        .where(isAlive(excess))
        .orderBy('sessions.id', 'desc')
        .offset(excess.others)
        .limit(MAX_ENDED_AT_ONCE),
    )
    .returning('id'),
)

/** Deletes up to `limit` sessions that were revoked or reached their absolute end before then; tells how many. */
export async function deleteEndedSessions(db: Db, before: Timestamp, limit: number): Promise<number> {
  const ended = (eb: ExpressionBuilder<Tables, 'sessions'>) =>
    eb.or([eb('sessions.expires_at', '<', before), eb('sessions.revoked_at', '<', before)])
  const result = await db
    .deleteFrom('sessions')
    .where('id', 'in', (eb) =>
      // Two nodes at it must not wait for each other.
      eb.selectFrom('sessions').select('sessions.id').where(ended).limit(limit).forUpdate().skipLocked(),
    )
    .executeTakeFirst()
  return Number(result.numDeletedRows)
}
