import type { Context } from '../../context.ts'
import { isSessionAlive, livenessAt } from '../sessions/liveness.ts'
import { findLiveSession, findSessionWithUser } from '../sessions/queries.ts'

/** What a token stands for now (RFC 7662 section 2.2): of one that is not good, whatever the reason, nothing but that. */
export async function introspect(context: Context, token: string) {
  return (
    (await introspectAccess(context, token)) ?? (await introspectRefresh(context, token)) ?? { active: false }
  )
}

async function introspectAccess(context: Context, token: string) {
  const claims = context.tokens.verifyAccess(token)
  const found = claims && (await findSessionWithUser(context.db, claims.sid))
  if (!claims || found?.id !== claims.sub || !found.is_active) return undefined
  if (!isSessionAlive(found, livenessAt(context))) return undefined
  const { type: _, amr, ...rest } = claims
  return { active: true, ...rest, amr: [...amr], username: found.username, token_type: 'Bearer' as const }
}

/** Of a session only the newest one is: whether an older one may be repeated, a refresh alone can tell. */
async function introspectRefresh(context: Context, token: string) {
  const claims = context.tokens.verifyRefresh(token)
  const session = claims && (await findLiveSession(context.db, { ...livenessAt(context), id: claims.sid }))
  if (!session || claims.gen < session.generation) return undefined
  const { sub, sid, iat, exp } = claims
  const { client_id, scope } = session
  return {
    active: true,
    iss: context.settings.publicUrl,
    sub,
    sid,
    iat,
    exp,
    client_id,
    scope,
    token_type: 'refresh_token' as const,
  }
}
