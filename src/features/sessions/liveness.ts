import type { Context } from '../../context.ts'
import type { Session } from '../../database/tables.ts'
import type { Liveness } from './queries.ts'

/** By what a session is judged now. */
export const livenessAt = ({ clock, settings }: Context): Liveness => ({
  now: clock.now(),
  idleLimitMs: settings.refreshTokenTtlMs,
})

/** What `isAlive` asks of a row, of one that has been read. */
export const isSessionAlive = (
  { revoked_at, expires_at, rotated_at }: Pick<Session, 'revoked_at' | 'expires_at' | 'rotated_at'>,
  { now, idleLimitMs }: Liveness,
): boolean => revoked_at === null && expires_at > now && rotated_at > now - idleLimitMs
