import type { Context } from '../../context.ts'
import type { UserId } from '../../core/ids.ts'
import { recordEvent } from '../audit/events.ts'
import { ALL_BUT_UNDO, deleteEmailTokens } from '../email-tokens/queries.ts'
import { endUserSessions } from '../sessions/end-sessions.ts'
import { setUserFlag } from './queries.ts'

/** Shuts a user out: every session ends with it. False when there was nothing to do. */
export function disableUser(context: Pick<Context, 'db' | 'clock'>, userId: UserId): Promise<boolean> {
  return context.db.transaction().execute(async (trx) => {
    const now = context.clock.now()
    if (!(await setUserFlag(trx, userId, ['is_active', false], now))) return false
    await recordEvent(trx, now, { type: 'user.disabled', userId })
    await endUserSessions(context, trx, { userId, reason: 'user_disabled' })
    await deleteEmailTokens(trx, userId, ALL_BUT_UNDO)
    return true
  })
}

/** Lets a user sign in again. False when there was nothing to do. */
export function enableUser({ db, clock }: Pick<Context, 'db' | 'clock'>, userId: UserId): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    const now = clock.now()
    if (!(await setUserFlag(trx, userId, ['is_active', true], now))) return false
    await recordEvent(trx, now, { type: 'user.enabled', userId })
    return true
  })
}
