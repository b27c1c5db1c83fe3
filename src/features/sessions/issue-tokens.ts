import type { Context } from '../../context.ts'
import { SECOND, toSeconds } from '../../core/clock.ts'
import { newNonce } from '../../core/ids.ts'
import type { Session } from '../../database/tables.ts'

/** What a sign-in or a refresh gives (RFC 6749 section 5.1). */
export type TokenPair = {
  access_token: string
  refresh_token: string
  token_type: 'bearer'
  /** Seconds until the access token expires. */
  expires_in: number
}

/**
 * The tokens of a session as it stands. The refresh token follows from the row alone, so that whoever may have
 * it gets the same one, byte for byte; the access token is new each time.
 */
export function issueTokens({ tokens, settings, clock }: Context, session: Session): TokenPair {
  const now = clock.now()
  const accessEnd = Math.min(now + settings.accessTokenTtlMs, session.expires_at)
  const refreshEnd = Math.min(session.rotated_at + settings.refreshTokenTtlMs, session.expires_at)
  return {
    access_token: tokens.signAccess({
      iss: settings.publicUrl,
      aud: session.audience ?? settings.publicUrl,
      sub: session.user_id,
      sid: session.id,
      jti: newNonce(),
      iat: toSeconds(now),
      exp: toSeconds(accessEnd),
      auth_time: toSeconds(session.authenticated_at),
      amr: session.amr.split(' '),
      client_id: session.client_id,
      scope: session.scope,
      type: 'access',
    }),
    refresh_token: tokens.signRefresh({
      sub: session.user_id,
      sid: session.id,
      gen: session.generation,
      iat: toSeconds(session.rotated_at),
      exp: toSeconds(refreshEnd),
      type: 'refresh',
    }),
    token_type: 'bearer',
    expires_in: Math.floor((accessEnd - now) / SECOND),
  }
}
