import type { Context } from '../../context.ts'
import type { Session } from '../../database/tables.ts'
import type { Liveness } from './queries.ts'

/** By what a session is judged now. */
export function livenessAt({ clock, settings }: Context): Liveness {
  const now = clock.now()
  return { now, idleSince: now - settings.refreshTokenTtlMs }
}

/** What `isAlive` asks of a row, of one that has been read. */
export const isSessionAlive = (
  { revoked_at, expires_at, rotated_at }: Pick<Session, 'revoked_at' | 'expires_at' | 'rotated_at'>,
  { now, idleSince }: Liveness,
): boolean => revoked_at === null && expires_at > now && rotated_at > idleSince
