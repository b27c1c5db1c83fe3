import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import type { Db } from '../../database/tables.ts'
import { mailTo, proofOf } from '../email/mail-to.ts'
import { issueEmailToken } from '../email-tokens/tokens.ts'
import type { Registration } from './queries.ts'

/** Sends the mail that begins an account, in the caller's transaction. */
export async function sendRegistration(
  context: Context,
  trx: Db,
  { id: registrationId, username, email, locale, expires_at: notAfter }: Registration,
  caller: Caller,
): Promise<void> {
  const token = { kind: 'register', email, registrationId, notAfter } as const
  const data = proofOf(context, 'confirm_registration', await issueEmailToken(context, trx, token))
  await mailTo(context, trx, { username, email, locale }, { kind: 'confirm_registration', data }, caller)
}
