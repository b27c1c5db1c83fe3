import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import { countOutcome } from '../../core/metrics.ts'
import { recordEvent } from '../audit/events.ts'
import { chooseLocale } from '../email/locales.ts'
import { type AdmitMail, canMail } from '../email/require-mail.ts'
import { refuseWantedBack } from '../email-tokens/tokens.ts'
import { sendVerification } from '../email-tokens/verify-email.ts'
import { forgetGuesses } from '../passwords/throttle.ts'
import { keepRegistration } from '../registrations/keep-registration.ts'
import { issueTokens } from '../sessions/issue-tokens.ts'
import { startSession } from '../sessions/start-session.ts'
import { createUser, type NewUser } from '../users/create-user.ts'
import { requireCaptcha } from './captcha.ts'
import { issueDeviceToken } from './devices.ts'
import type { SignedIn } from './login.ts'

type Sender = {
  captchaToken?: string | undefined
  caller: Caller
  /** Counts the mail to the address. */
  admitMail: AdmitMail
}

/**
 * Creates an account and signs it in; where addresses have to be verified first, keeps it until that is done.
 * @returns undefined while it waits for its address
 * @throws Problem `validation_failed`, `username_taken`, `email_taken`, `server_busy`, `captcha_required`
 */
export const register = (context: Context, newUser: NewUser, sender: Sender): Promise<SignedIn | undefined> =>
  countOutcome(context.metrics.registration, admitAndRegister(context, newUser, sender), () => 'succeeded')

async function admitAndRegister(
  context: Context,
  newUser: NewUser,
  sender: Sender,
): Promise<SignedIn | undefined> {
  const { captchaToken, caller } = sender
  await requireCaptcha(context, captchaToken, caller)
  const { acceptLanguage } = caller
  const locale = acceptLanguage === undefined ? null : chooseLocale(context.templates, { acceptLanguage })
  const request = { ...newUser, locale }
  if (!context.settings.email.requireVerification) return createAndSignIn(context, request, sender)
  await keepRegistration(context, request, sender)
  return undefined
}

async function createAndSignIn(
  context: Context,
  newUser: NewUser,
  { caller, admitMail }: Sender,
): Promise<SignedIn> {
  await refuseWantedBack(context, newUser.email)
  const admit = () => (canMail(context) ? admitMail(newUser.email) : Promise.resolve())
  const session = await createUser(context, { ...newUser, isSuperuser: false, admit }, async (trx, user) => {
    // Whoever moved their account away from the address has committed by now: the insertion waited for that.
    await refuseWantedBack({ ...context, db: trx }, user.email)
    const { id: userId, password_hash: passwordHash, session_epoch: sessionEpoch } = user
    const session = await startSession(context, trx, {
      userId,
      passwordHash,
      sessionEpoch,
      amr: 'pwd',
      caller,
    })
    if (!session) throw new Error('A user who was just stored has changed before the transaction ended')
    const event = { type: 'user.created', userId, sessionId: session.id, caller } as const
    await forgetGuesses(context, trx, [user.username_key, user.email_key])
    await recordEvent(trx, context.clock.now(), event)
    await sendVerification(context, trx, user, { kind: 'verify_email', email: user.email, userId }, caller)
    return session
  })
  caller.userId = session.user_id
  const device_token = issueDeviceToken(context, session.user_id, undefined)
  return { ...issueTokens(context, session), device_token }
}
