import type { Context } from '../../context.ts'
import type { SessionId, UserId } from '../../core/ids.ts'
import { Problem } from '../../core/problems.ts'
import { isSessionAlive, livenessAt } from './liveness.ts'
import { findSessionWithUser } from './queries.ts'

/** Who is calling: the user, and the session that the access token belongs to. */
export type Authenticated = NonNullable<Awaited<ReturnType<typeof findSessionWithUser>>>

/**
 * Tells who an access token belongs to. It counts only while its session stands: one query by primary keys,
 * never cached, so there is no gap to wait out after a sign-out.
 * @throws Problem `access_token_invalid`, `inactive_user`
 */
export async function authenticate(context: Context, accessToken: string): Promise<Authenticated> {
  const claims = context.tokens.verifyAccess(accessToken)
  if (!claims) throw new Problem('access_token_invalid')
  return getStandingSession(context, claims.sid, claims.sub)
}

/**
 * The session and its user as they are now.
 * @throws Problem `access_token_invalid`, `inactive_user`
 */
export async function getStandingSession(
  context: Context,
  sessionId: SessionId,
  userId: UserId,
): Promise<Authenticated> {
  const found = await findSessionWithUser(context.db, sessionId)
  if (found?.id !== userId) throw new Problem('access_token_invalid')
  if (!found.is_active) throw new Problem('inactive_user')
  if (!isSessionAlive(found, livenessAt(context))) throw new Problem('access_token_invalid')
  return found
}
