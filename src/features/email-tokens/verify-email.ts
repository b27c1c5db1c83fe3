import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import type { UserId } from '../../core/ids.ts'
import { invalidField, Problem } from '../../core/problems.ts'
import type { Db } from '../../database/tables.ts'
import { recordEvent } from '../audit/events.ts'
import { type Addressee, mailTo, proofOf } from '../email/mail-to.ts'
import { canMail, requireMail } from '../email/require-mail.ts'
import { type AdmitPassword, verifyCurrentPassword } from '../passwords/try-password.ts'
import { confirmRegistration } from '../registrations/confirm-registration.ts'
import { findOpenRegistration } from '../registrations/queries.ts'
import { sendRegistration } from '../registrations/send-registration.ts'
import { confirmNewEmail } from '../users/change-email.ts'
import { lockUserByEmail, markEmailVerified } from '../users/email-queries.ts'
import { emailKey } from '../users/names.ts'
import { findUser } from '../users/queries.ts'
import {
  type EmailProof,
  issueEmailToken,
  type NewEmailToken,
  type OwnedToken,
  readEmailProof,
  useEmailToken,
} from './tokens.ts'

/** Sends the mail that verifies an address, in the caller's transaction. */
export async function sendVerification(
  context: Context,
  trx: Db,
  to: Addressee | undefined,
  owner: Omit<NewEmailToken, 'binding'>,
  caller: Caller | undefined,
): Promise<void> {
  if (!canMail(context)) return
  const issued = await issueEmailToken(context, trx, owner)
  const data = proofOf(context, 'verify_email', issued)
  await mailTo(context, trx, to, { kind: 'verify_email', data }, caller)
}

/**
 * Sends it again, if there is anybody whose address waits for it; else does as much, and sends nothing.
 * @throws Problem `email_unavailable`
 */
export async function resendVerification(context: Context, email: string, caller: Caller): Promise<void> {
  requireMail(context)
  const { db, clock } = context
  const key = emailKey(email)
  await db.transaction().execute(async (trx) => {
    const user = await lockUserByEmail(trx, key)
    const registration = await findOpenRegistration(trx, { email: key }, clock.now())
    const waits = user?.is_active && user.email_verified_at === null ? user : undefined
    if (user || !registration) {
      const token = { kind: 'verify_email', email, userId: waits?.id } as const
      return sendVerification(context, trx, waits, token, caller)
    }
    return sendRegistration(context, trx, registration, caller)
  })
}

export type Verified = { purpose: 'register' | 'verify_email' | 'change_email'; email: string }

const KINDS = ['register', 'verify_email', 'change_email'] as const

type Verification = {
  proof: EmailProof
  /** Of the account, or of the registration where one begins. */
  password?: string | undefined
  admitPassword: AdmitPassword
  /** Who is signed in where the proof is brought. */
  signedIn?: UserId | undefined
  caller: Caller
}

/**
 * Takes it that whoever brings the proof reads the mail of that address: begins the account that waits for it, or marks
 * the address as verified, or puts it in the place of the old one.
 * @throws Problem `email_token_invalid`, `email_token_used`, `email_taken`, `username_taken`, `validation_failed`,
 *   `registration_password_incorrect`, `current_password_incorrect`, `too_many_requests`, `too_many_failures`, `server_busy`
 */
export async function verifyEmail(context: Context, verification: Verification): Promise<Verified> {
  const { proof, password, admitPassword, caller } = verification
  const token = await readEmailProof(context, proof, { kinds: KINDS, caller })
  if (token.kind !== 'register') await requireOwner(context, token, verification)
  if (token.kind === 'register')
    await confirmRegistration(context, { token, password, admitPassword, caller })
  else if (token.kind === 'change_email') await confirmNewEmail(context, token, caller)
  else await confirmEmail(context, token, caller)
  return { purpose: token.kind as Verified['purpose'], email: token.email }
}

/**
 * Whoever reads the mail may be somebody else than whose account it is: their click alone would give a stranger's account their
 * address, which the stranger takes back with all that has come to it.
 */
async function requireOwner(
  context: Context,
  { kind, owner }: OwnedToken,
  { password, admitPassword, signedIn, caller }: Verification,
): Promise<void> {
  if (signedIn === owner) return
  if (kind === 'verify_email' && !context.settings.email.requireVerification) return
  const user = await findUser(context.db, owner)
  if (!user?.is_active) throw new Problem('email_token_invalid')
  if (password === undefined) {
    throw invalidField('/password', 'is needed: that of the account, by whoever is not signed in to it')
  }
  await admitPassword(user.id)
  await verifyCurrentPassword(context, user, password, caller)
}

function confirmEmail(context: Context, token: OwnedToken, caller: Caller): Promise<void> {
  const { db, clock } = context
  return db.transaction().execute(async (trx) => {
    await useEmailToken(context, trx, token)
    const user = await markEmailVerified(trx, {
      id: token.owner,
      key: emailKey(token.email),
      now: clock.now(),
    })
    // The account has another address now, or is gone.
    if (!user) throw new Problem('email_token_invalid')
    await recordEvent(trx, clock.now(), { type: 'user.email_verified', userId: user.id, caller })
  })
}
