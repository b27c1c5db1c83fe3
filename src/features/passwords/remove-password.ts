import type { Context } from '../../context.ts'
import type { UserId } from '../../core/ids.ts'
import { recordEvent } from '../audit/events.ts'
import { ALL_BUT_UNDO, deleteEmailTokens } from '../email-tokens/queries.ts'
import { endUserSessions } from '../sessions/end-sessions.ts'
import { removePassword } from '../users/email-queries.ts'

/**
 * Takes a password that has leaked away, with every session and whatever was asked for by mail: a new one is set by who reads the
 * mail of the account (NIST SP 800-63B-4 section 3.1.1.2). False when there was none.
 */
export function removePasswordForOperator(
  context: Pick<Context, 'db' | 'clock'>,
  userId: UserId,
): Promise<boolean> {
  return context.db.transaction().execute(async (trx) => {
    if (!(await removePassword(trx, userId))) return false
    await recordEvent(trx, context.clock.now(), { type: 'user.password_removed', userId })
    await endUserSessions(context, trx, { userId, reason: 'ended_by_operator' })
    await deleteEmailTokens(trx, userId, ALL_BUT_UNDO)
    return true
  })
}
