import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import { recordEvent } from '../audit/events.ts'
import { forgetFailures } from '../passwords/throttle.ts'
import { issueTokens } from '../sessions/issue-tokens.ts'
import { startSession } from '../sessions/start-session.ts'
import { createUser, type NewUser } from '../users/create-user.ts'
import { requireCaptcha } from './captcha.ts'
import { issueDeviceToken } from './devices.ts'
import type { SignedIn } from './login.ts'

/**
 * Creates an account and signs it in.
 * @throws Problem `validation_failed`, `username_taken`, `email_taken`, `server_busy`, `captcha_required`
 */
export async function register(
  context: Context,
  newUser: NewUser,
  { captchaToken, caller }: { captchaToken?: string | undefined; caller: Caller },
): Promise<SignedIn> {
  await requireCaptcha(context, captchaToken, caller)
  const session = await createUser(context, { ...newUser, isSuperuser: false }, async (trx, user) => {
    const { id: userId, password_hash: passwordHash, session_epoch: sessionEpoch } = user
    const session = await startSession(context, trx, { userId, passwordHash, sessionEpoch, caller })
    if (!session) throw new Error('A user who was just stored has changed before the transaction ended')
    const event = { type: 'user.created', userId, sessionId: session.id, caller } as const
    // Guesses at the name while nobody had it are no guesses at its password.
    await forgetFailures(context, trx, user)
    await recordEvent(trx, context.clock.now(), event)
    return session
  })
  const device_token = issueDeviceToken(context, session.user_id, undefined)
  return { ...issueTokens(context, session), device_token }
}
