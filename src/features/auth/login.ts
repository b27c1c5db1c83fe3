import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import type { UserId } from '../../core/ids.ts'
import { countOutcome } from '../../core/metrics.ts'
import { Problem, serverBusy } from '../../core/problems.ts'
import { needsRehash } from '../../core/security/passwords.ts'
import type { DeviceClaims } from '../../core/security/tokens.ts'
import type { Db, Session, User } from '../../database/tables.ts'
import { type AuditEvent, recordEvent } from '../audit/events.ts'
import { deedOf, mailTo } from '../email/mail-to.ts'
import type { AdmitMail } from '../email/require-mail.ts'
import { sendVerification } from '../email-tokens/verify-email.ts'
import { type Claim, deleteFailures, releaseTry } from '../passwords/failure-queries.ts'
import { admitTry, countFailure, type Try } from '../passwords/throttle.ts'
import { lockRegistration, type Registration } from '../registrations/queries.ts'
import { sendRegistrationAgain } from '../registrations/send-registration.ts'
import { findWaitingRegistration } from '../registrations/waiting-registration.ts'
import { issueTokens, type TokenPair } from '../sessions/issue-tokens.ts'
import { hasSessionFrom } from '../sessions/queries.ts'
import { startSession } from '../sessions/start-session.ts'
import { lockUserByEmail } from '../users/email-queries.ts'
import { findUserByIdentifier } from '../users/find-user.ts'
import { findSlowestBcryptCost, replacePasswordHash } from '../users/queries.ts'
import { requireCaptcha } from './captcha.ts'
import { issueDeviceToken } from './devices.ts'
import { findStanding, followName, type Standing } from './standing.ts'

/** How often a sign-in looks again because another one replaced the hash under it. */
const MAX_ATTEMPTS = 3

export type SignIn = {
  /** A username or an e-mail address. */
  identifier: string
  password: string
  deviceToken?: string | undefined
  captchaToken?: string | undefined
  caller: Caller
  /** Counts the mail that verifies an address. */
  admitMail: AdmitMail
}

export type SignedIn = TokenPair & { device_token: string }

/**
 * Counts a sign-in before anything else is done for it.
 * @param device undefined when this user has not signed in from it before
 * @throws Problem `too_many_requests`
 */
export type Admit = (device: DeviceClaims | undefined) => Promise<Admission>

export type Admission = {
  /** Whether enough has failed from there to ask for a captcha. */
  isSuspicious: boolean
  /** Whether it is the first for its name, or on a device of its user, for a while: there is none at the same time. */
  isAlone: boolean
  countFailure(): Promise<void>
  countSuccess(): Promise<void>
  /** Takes back what was counted as a failure in advance, where the password was not looked at. */
  giveBack(): Promise<void>
}

/** Failures in a row that the owner is told of. */
const TOLD_FAILURES = 10

/** Failures in a row that make the next try suspicious. */
const SUSPICIOUS_FAILURES = 3

/**
 * Signs in with a username or an e-mail address and a password. An unknown user and a wrong password take the
 * same path and the same time.
 * @throws Problem `invalid_credentials`, `inactive_user`, `email_not_verified`, `server_busy`, `too_many_requests`,
 *   `too_many_failures`, `captcha_required`
 */
export const login = (context: Context, signIn: SignIn, admit: Admit): Promise<SignedIn> =>
  countOutcome(context.metrics.login, admitAndSignIn(context, signIn, admit), () => 'succeeded')

async function admitAndSignIn(context: Context, signIn: SignIn, admit: Admit): Promise<SignedIn> {
  const found = await lookUp(context, signIn.identifier)
  const standing = await findStanding(context, signIn, found.user)
  const admission = await admit(standing.device)
  let claim: Claim | undefined
  try {
    const isSuspicious = admission.isSuspicious || (standing.failures?.failures ?? 0) >= SUSPICIOUS_FAILURES
    if (isSuspicious) await requireCaptcha(context, signIn.captchaToken, signIn.caller)
    claim = await admitTry(context, standing.throttled, standing.failures, admission.isAlone)
    const session = await startVerifiedSession(context, signIn, { ...standing, claim }, found)
    signIn.caller.userId = session.user_id
    await admission.countSuccess()
    const device_token = issueDeviceToken(context, session.user_id, standing.device)
    return { ...issueTokens(context, session), device_token }
  } catch (error) {
    const isTheirs = error instanceof Problem && error.code === 'invalid_credentials'
    await (isTheirs ? admission.countFailure() : takeBack(context, admission, claim))
    throw error
  }
}

/** Each for itself, whatever becomes of the other: what went wrong before is what is told. */
const takeBack = ({ db, clock }: Context, admission: Admission, claim: Claim | undefined) =>
  Promise.allSettled([admission.giveBack(), claim && releaseTry(db, claim, clock.now())])

type Found = {
  user: User | undefined
  /** Of who has no account before their address is verified. */
  registration: Registration | undefined
  slowestBcryptCost: number | null
}
type Admitted = Standing & Try
type Verified = User & { password_hash: string }

async function lookUp(context: Context, identifier: string): Promise<Found> {
  const { db } = context
  const [user, registration, slowestBcryptCost] = await Promise.all([
    findUserByIdentifier(db, identifier),
    findWaitingRegistration(context, identifier),
    findSlowestBcryptCost(db),
  ])
  return { user, registration: user ? undefined : registration, slowestBcryptCost }
}

async function startVerifiedSession(
  context: Context,
  signIn: SignIn,
  admitted: Admitted,
  found: Found,
): Promise<Session> {
  let epoch: number | undefined
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const user = await verifyUser(context, signIn, admitted, found)
    // What ended this user's sessions while the password was being verified ends this sign-in as well.
    if (user.session_epoch !== (epoch ?? user.session_epoch)) {
      return refuse(context, signIn, admitted, user)
    }
    epoch = user.session_epoch
    const session = await beginSession(context, signIn, admitted, user)
    if (session) return session
    found = await lookUp(context, signIn.identifier)
  }
  throw serverBusy()
}

async function verifyUser(
  context: Context,
  signIn: SignIn,
  admitted: Admitted,
  { user, registration, slowestBcryptCost }: Found,
): Promise<Verified> {
  const { db, clock, passwords } = context
  const hash = (user ?? registration)?.password_hash ?? null
  const matches = await passwords.verify(hash, signIn.password, slowestBcryptCost)
  if (registration && matches) return askToConfirm(context, registration, signIn)
  if (!user || hash === null || !matches) return refuse(context, signIn, admitted, user)
  if (!user.is_active) {
    const detail = { reason: 'inactive' }
    await recordEvent(db, clock.now(), failureEvent(user.id, signIn.caller, detail))
    throw new Problem('inactive_user')
  }
  if (context.settings.email.requireVerification && user.email_verified_at === null) {
    return askToVerify(context, user, signIn)
  }
  return { ...user, password_hash: hash }
}

/** Who registered is sent the mail again: by the address alone they may be sent that of somebody else who registered with it. */
async function askToConfirm(
  context: Context,
  registration: Registration,
  { caller, admitMail }: Asking,
): Promise<never> {
  const { db, clock } = context
  const mayMail = await isAdmitted(admitMail, registration.email)
  await db.transaction().execute(async (trx) => {
    const still = await lockRegistration(trx, registration.id, clock.now())
    if (mayMail && still) await sendRegistrationAgain(context, trx, still, caller)
    await recordEvent(trx, clock.now(), failureEvent(undefined, caller, { reason: 'email_not_verified' }))
  })
  throw new Problem('email_not_verified')
}

type Asking = Pick<SignIn, 'caller' | 'admitMail'>

/** One mail too many is not sent; the answer stays the same. */
async function isAdmitted(admitMail: AdmitMail, email: string): Promise<boolean> {
  try {
    await admitMail(email)
    return true
  } catch (error) {
    if (error instanceof Problem && error.code === 'too_many_requests') return false
    throw error
  }
}

/** Who had an account before addresses had to be verified. */
async function askToVerify(context: Context, user: User, { caller, admitMail }: Asking): Promise<never> {
  const { db, clock } = context
  const { id: userId, email } = user
  const mayMail = await isAdmitted(admitMail, email)
  await db.transaction().execute(async (trx) => {
    const token = { kind: 'verify_email', email, userId } as const
    const isStill = (await lockUserByEmail(trx, user.email_key))?.id === userId
    if (mayMail && isStill) await sendVerification(context, trx, user, token, caller)
    await recordEvent(trx, clock.now(), failureEvent(userId, caller, { reason: 'email_not_verified' }))
  })
  throw new Problem('email_not_verified')
}

/** @returns undefined when the user is no longer as they were when the password was verified */
async function beginSession(
  context: Context,
  { password, caller }: SignIn,
  { endedBySuccess, device, claim }: Admitted,
  user: Verified,
): Promise<Session | undefined> {
  const { db, clock, passwords } = context
  const { id: userId, password_hash: oldHash, session_epoch: sessionEpoch } = user
  const newHash = needsRehash(oldHash) ? await passwords.hash(password) : undefined
  return db.transaction().execute(async (trx) => {
    if (newHash && !(await replacePasswordHash(trx, userId, oldHash, newHash))) return undefined
    const passwordHash = newHash ?? oldHash
    const isKnown = device !== undefined || (await hasSessionFrom(trx, userId, caller))
    const session = await startSession(context, trx, {
      userId,
      passwordHash,
      sessionEpoch,
      amr: 'pwd',
      caller,
    })
    if (!session) return undefined
    const ended = [...(claim ? [claim] : []), ...endedBySuccess].map(({ key }) => key)
    if (ended.length > 0) await deleteFailures(trx, ended)
    const detail = { method: 'password' }
    const event = { type: 'user.signed_in', userId, sessionId: session.id, caller, detail } as const
    await recordEvent(trx, clock.now(), event)
    const all = endedBySuccess.reduce((sum, { failures }) => sum + failures, 0)
    const failures = all >= TOLD_FAILURES ? all : 0
    if (!isKnown || failures > 0) await tellOfSignIn(context, trx, user, failures, caller)
    return session
  })
}

/** Of one from where this user has not signed in before, or after many failures. */
async function tellOfSignIn(
  context: Context,
  trx: Db,
  user: User,
  failures: number,
  caller: Caller,
): Promise<void> {
  const data = { ...deedOf(context, caller), failures }
  await mailTo(context, trx, user, { kind: 'new_sign_in', data }, caller)
}

async function refuse(
  context: Context,
  { caller }: SignIn,
  admitted: Admitted,
  user: User | undefined,
): Promise<never> {
  const { db, clock } = context
  await db.transaction().execute(async (trx) => {
    const renamed = await followName(context, trx, admitted, user)
    const { failures, isLast } = await countFailure(context, trx, renamed)
    const detail = { reason: 'invalid_credentials', ...(isLast && { blocked: true }) }
    await recordEvent(trx, clock.now(), failureEvent(user?.id, caller, detail))
    if (failures === TOLD_FAILURES) {
      // The language of who guesses is not that of the owner.
      const data = { ...deedOf(context, caller), failures }
      await mailTo(context, trx, user, { kind: 'failed_sign_ins', data })
    }
  })
  throw new Problem('invalid_credentials')
}

const failureEvent = (
  userId: UserId | undefined,
  caller: Caller,
  detail: NonNullable<AuditEvent['detail']>,
): AuditEvent => ({ type: 'user.sign_in_failed', userId, caller, detail })
