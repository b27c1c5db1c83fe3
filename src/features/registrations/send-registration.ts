import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import type { Db } from '../../database/tables.ts'
import { type Addressee, mailTo, proofOf } from '../email/mail-to.ts'
import { issueEmailToken, type NewEmailToken } from '../email-tokens/tokens.ts'
import { findUserByEmail } from '../users/queries.ts'
import type { Registration } from './queries.ts'

/** Sends the mail that begins an account, in the caller's transaction. */
export function sendRegistration(
  context: Context,
  trx: Db,
  { id: registrationId, username, email, locale, expires_at: notAfter }: Registration,
  caller: Caller,
): Promise<void> {
  const token = { kind: 'register', email, registrationId, notAfter } as const
  return sendProof(context, trx, token, { username, email, locale }, caller)
}

/** Sends it again to who knows its password; where an account has the address, does as much, and sends nothing. */
export async function sendRegistrationAgain(
  context: Context,
  trx: Db,
  registration: Registration,
  caller: Caller,
): Promise<void> {
  const { email, email_key: key } = registration
  const owner = await findUserByEmail(trx, { key })
  if (owner) await sendProof(context, trx, { kind: 'register', email }, undefined, caller)
  else await sendRegistration(context, trx, registration, caller)
}

async function sendProof(
  context: Context,
  trx: Db,
  token: NewEmailToken,
  to: Addressee | undefined,
  caller: Caller,
): Promise<void> {
  const data = proofOf(context, 'confirm_registration', await issueEmailToken(context, trx, token))
  await mailTo(context, trx, to, { kind: 'confirm_registration', data }, caller)
}
