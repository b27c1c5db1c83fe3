import { randomBytes } from 'node:crypto'
import type { Context } from '../../context.ts'
import { type Caller, networkOf } from '../../core/caller.ts'
import { countOutcome } from '../../core/metrics.ts'
import { Problem, serverBusy } from '../../core/problems.ts'
import type { Db, Session, User } from '../../database/tables.ts'
import { recordEvent } from '../audit/events.ts'
import { findKnownDevice, issueDeviceToken } from '../auth/devices.ts'
import type { SignedIn } from '../auth/login.ts'
import { deedOf, mailTo, proofOf } from '../email/mail-to.ts'
import { requireMail } from '../email/require-mail.ts'
import { deleteEmailTokens } from '../email-tokens/queries.ts'
import {
  type EmailProof,
  issueEmailToken,
  type OwnedToken,
  readEmailProof,
  useEmailToken,
} from '../email-tokens/tokens.ts'
import { forgetFailures } from '../passwords/throttle.ts'
import { endUserSessions } from '../sessions/end-sessions.ts'
import { issueTokens } from '../sessions/issue-tokens.ts'
import { startSession } from '../sessions/start-session.ts'
import { lockUserByEmail, markEmailVerified, removePassword } from '../users/email-queries.ts'
import { emailKey } from '../users/names.ts'
import { findUser } from '../users/queries.ts'

const BINDING_BYTES = 32

/**
 * Sends a link and a code that sign in, if an account has the address; else does as much, and sends nothing.
 * @returns what only the client that asked has: neither link nor code works without
 * @throws Problem `email_unavailable`
 */
export async function requestSignIn(context: Context, email: string, caller: Caller): Promise<string> {
  requireMail(context)
  const { db, clock } = context
  const binding = randomBytes(BINDING_BYTES).toString('base64url')
  await db.transaction().execute(async (trx) => {
    const found = await lockUserByEmail(trx, emailKey(email))
    const user = found?.is_active ? found : undefined
    const address = user?.email ?? email
    const asker = networkOf(caller.ip)
    const token = { kind: 'sign_in', email: address, userId: user?.id, binding, asker } as const
    const issued = await issueEmailToken(context, trx, token)
    const data = { ...proofOf(context, 'sign_in', issued), ...deedOf(context, caller) }
    await mailTo(context, trx, user, { kind: 'sign_in', data }, caller)
    const event = { type: 'user.sign_in_link_requested', userId: user?.id, caller } as const
    await recordEvent(trx, clock.now(), event)
  })
  return binding
}

type MailedSignIn = {
  proof: EmailProof
  binding: string | undefined
  deviceToken?: string | undefined
  caller: Caller
}

/**
 * Signs in whoever reads the mail of an address, on the client that asked for it.
 * @throws Problem `email_token_invalid`, `email_token_used`, `email_token_elsewhere`, `inactive_user`, `server_busy`
 */
export const signInByMail = (context: Context, signIn: MailedSignIn): Promise<SignedIn> =>
  countOutcome(context.metrics.login, proveAndSignIn(context, signIn), () => 'succeeded')

async function proveAndSignIn(context: Context, signIn: MailedSignIn): Promise<SignedIn> {
  const { binding, caller } = signIn
  const token = await readEmailProof(context, signIn.proof, { kinds: ['sign_in'], binding, caller })
  const session = await beginSession(context, token, caller)
  caller.userId = session.user_id
  const device = findKnownDevice(context, signIn.deviceToken, session.user_id)
  return {
    ...issueTokens(context, session),
    device_token: issueDeviceToken(context, session.user_id, device),
  }
}

async function beginSession(context: Context, token: OwnedToken, caller: Caller): Promise<Session> {
  const { db, clock } = context
  const user = await findUser(db, token.owner)
  if (!user) throw new Problem('email_token_invalid')
  if (!user.is_active) {
    const detail = { method: 'email', reason: 'inactive' }
    await recordEvent(db, clock.now(), { type: 'user.sign_in_failed', userId: user.id, caller, detail })
    throw new Problem('inactive_user')
  }
  const { id: userId, password_hash: passwordHash, session_epoch: sessionEpoch } = user
  return db.transaction().execute(async (trx) => {
    const now = clock.now()
    await useEmailToken(context, trx, token)
    const current = await markEmailVerified(trx, { id: userId, key: emailKey(token.email), now })
    if (!current) throw new Problem('email_token_invalid')
    const isFirst = user.email_verified_at === null
    if (isFirst) await shutOutOthers(context, trx, current, caller)
    const session = await startSession(context, trx, {
      userId,
      passwordHash: isFirst ? null : passwordHash,
      sessionEpoch: isFirst ? sessionEpoch + 1 : sessionEpoch,
      amr: 'otp',
      caller,
    })
    // The account changed under the sign-in.
    if (!session) throw serverBusy()
    await forgetFailures(context, trx, current)
    const detail = { method: 'email' }
    await recordEvent(trx, now, { type: 'user.signed_in', userId, sessionId: session.id, caller, detail })
    return session
  })
}

/**
 * Whoever registered with the address may have been somebody else: who reads its mail has the account to themselves, and sets
 * a password of their own.
 */
async function shutOutOthers(context: Context, trx: Db, user: User, caller: Caller): Promise<void> {
  const { id: userId } = user
  const now = context.clock.now()
  await recordEvent(trx, now, { type: 'user.email_verified', userId, caller })
  const hadPassword = await removePassword(trx, userId)
  await endUserSessions(context, trx, { userId, reason: 'email_verified', caller })
  await deleteEmailTokens(trx, userId, ['change_email', 'reset_password'])
  if (!hadPassword) return
  await recordEvent(trx, now, { type: 'user.password_removed', userId, caller })
  const data = deedOf(context, caller)
  await mailTo(context, trx, user, { kind: 'password_changed', data }, caller)
}
