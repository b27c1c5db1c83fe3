import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import { endSession } from '../sessions/end-sessions.ts'

/**
 * Ends the session of a token, and with it every token of it (RFC 7009 section 2.1). One that is none, or has ended, is no
 * failure (section 2.2).
 */
export async function revokeToken(context: Context, token: string, caller: Caller): Promise<void> {
  const { tokens } = context
  const claims = tokens.verifyRefresh(token) ?? tokens.verifyAccess(token)
  if (claims) await endSession(context, claims.sid, 'logout', caller)
}
