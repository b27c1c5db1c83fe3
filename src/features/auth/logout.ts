import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import type { SessionId, UserId } from '../../core/ids.ts'
import { Problem } from '../../core/problems.ts'
import { endSession, endUserSessions } from '../sessions/end-sessions.ts'
import { livenessAt } from '../sessions/liveness.ts'
import { findLiveSession, findSessionState } from '../sessions/queries.ts'

/** This session, all others, or both. */
export type LogoutScope = 'session' | 'others' | 'all'

type SessionOfUser = { userId: UserId; sessionId: SessionId }

/** Signs out. What has ended before is no failure. */
export async function logout(
  context: Context,
  { userId, sessionId, scope, caller }: SessionOfUser & { scope: LogoutScope; caller: Caller },
): Promise<void> {
  if (scope === 'session') return endSession(context, sessionId, 'logout', caller)
  const others = scope === 'others' ? { except: sessionId } : {}
  await context.db
    .transaction()
    .execute((trx) => endUserSessions(context, trx, { userId, reason: 'logout', caller, ...others }))
}

/**
 * Tells which session a refresh token would sign out. An old copy of a token, or one of a session that has ended, may
 * end its own session, no other.
 * @throws Problem `refresh_token_invalid`
 */
export async function identifySession(
  context: Context,
  refreshToken: string,
  scope: LogoutScope,
): Promise<SessionOfUser> {
  const claims = context.tokens.verifyRefresh(refreshToken)
  if (!claims) throw new Problem('refresh_token_invalid')
  const { sid: sessionId, sub: userId, gen } = claims
  const session =
    scope === 'session'
      ? await findSessionState(context.db, sessionId)
      : await findLiveSession(context.db, { ...livenessAt(context), id: sessionId })
  const isOldCopy = session && gen < session.generation - 1
  if (!session || (isOldCopy && scope !== 'session')) throw new Problem('refresh_token_invalid')
  return { sessionId, userId }
}

/** Ends the session of the refresh token that a browser held when it signed in again: nobody has that token any more. */
export async function endReplacedSession(
  context: Context,
  refreshToken: string,
  caller: Caller,
): Promise<void> {
  const claims = context.tokens.verifyRefresh(refreshToken)
  if (claims) await endSession(context, claims.sid, 'signed_in_again', caller)
}

/** Whether a refresh token belongs to what was signed out. */
export function isSignedOut(
  { tokens }: Context,
  refreshToken: string,
  { userId, sessionId }: SessionOfUser,
  scope: LogoutScope,
): boolean {
  const claims = tokens.verifyRefresh(refreshToken)
  if (claims?.sub !== userId) return false
  return scope === 'all' || (claims.sid === sessionId) === (scope === 'session')
}
