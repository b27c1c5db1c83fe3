import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import { Problem } from '../../core/problems.ts'
import { recordEvent } from '../audit/events.ts'
import { deedOf, mailTo, proofOf } from '../email/mail-to.ts'
import { requireMail } from '../email/require-mail.ts'
import { deleteEmailTokens } from '../email-tokens/queries.ts'
import { type EmailProof, issueEmailToken, readEmailProof, useEmailToken } from '../email-tokens/tokens.ts'
import { endUserSessions } from '../sessions/end-sessions.ts'
import { lockUserByEmail, resetPasswordHash } from '../users/email-queries.ts'
import { emailKey } from '../users/names.ts'
import { findUser } from '../users/queries.ts'
import { checkNewPassword } from './policy.ts'
import { forgetFailures } from './throttle.ts'

/**
 * Sends a link and a code for a new password to the address, if an account has it; else does as much, and sends nothing.
 * @throws Problem `email_unavailable`
 */
export async function requestPasswordReset(context: Context, email: string, caller: Caller): Promise<void> {
  requireMail(context)
  const { db, clock } = context
  await db.transaction().execute(async (trx) => {
    const found = await lockUserByEmail(trx, emailKey(email))
    const user = found?.is_active ? found : undefined
    const address = user?.email ?? email
    const issued = await issueEmailToken(context, trx, {
      kind: 'reset_password',
      email: address,
      userId: user?.id,
    })
    const data = proofOf(context, 'reset_password', issued)
    await mailTo(context, trx, user, { kind: 'reset_password', data }, caller)
    const event = { type: 'user.password_reset_requested', userId: user?.id, caller } as const
    await recordEvent(trx, clock.now(), event)
  })
}

/**
 * Sets a new password for who reads the mail of the account's address, and ends every session.
 * @throws Problem `email_token_invalid`, `email_token_used`, `validation_failed`, `server_busy`
 */
export async function resetPassword(
  context: Context,
  { proof, password, caller }: { proof: EmailProof; password: string; caller: Caller },
): Promise<void> {
  const { db, clock, passwords } = context
  const token = await readEmailProof(context, proof, { kinds: ['reset_password'], caller })
  const current = await findUser(db, token.owner)
  if (!current) throw new Problem('email_token_invalid')
  await checkNewPassword(context, { ...current, password }, '/new_password')
  const hash = await passwords.hash(password)
  await db.transaction().execute(async (trx) => {
    const now = clock.now()
    await useEmailToken(context, trx, token)
    const before = await findUser(trx, current.id)
    const user = await resetPasswordHash(trx, { id: current.id, key: emailKey(token.email), hash, now })
    // The account has another address now, is disabled, or gone.
    if (!user) throw new Problem('email_token_invalid')
    await endUserSessions(context, trx, { userId: user.id, reason: 'password_reset', caller })
    await deleteEmailTokens(trx, user.id, ['change_email', 'sign_in'])
    await forgetFailures(context, trx, user)
    await recordEvent(trx, now, { type: 'user.password_reset', userId: user.id, caller })
    if (before?.email_verified_at === null) {
      await recordEvent(trx, now, { type: 'user.email_verified', userId: user.id, caller })
    }
    const data = deedOf(context, caller)
    await mailTo(context, trx, user, { kind: 'password_changed', data }, caller)
  })
}
