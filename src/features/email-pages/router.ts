import type { Context } from '../../context.ts'
import type { App } from '../../http/app-type.ts'
import { acceptForms } from '../../http/body-parsers.ts'
import { acceptCookies, readDeviceCookie, readSignInCookie } from '../../http/cookies.ts'
import { deliverSignIn } from '../../http/deliver-tokens.ts'
import type { Limits } from '../../http/limits.ts'
import { createPageServer } from '../../http/link-pages.ts'
import { admitPasswordOf } from '../../http/mail-limits.ts'
import { verifyEmail } from '../email-tokens/verify-email.ts'
import { signInByMail } from '../magic-links/sign-in-by-mail.ts'
import { resetPassword } from '../passwords/reset-password.ts'
import { undoEmailChange } from '../users/change-email.ts'
import { PASSWORD_FIELD_MAX } from '../users/schemas.ts'

/**
 * The pages that links in mails lead to. A GET changes nothing, and does not even look whether the token is good: programs
 * follow links before people do. The button posts.
 */
export async function emailPagesRouter(app: App, context: Context, limits: Limits): Promise<void> {
  await acceptForms(app)
  await acceptCookies(app)
  const serve = createPageServer(app, context, limits)
  serve('confirm', async ({ body, caller }, reply, token) => {
    const password = passwordIn(body, 'password')
    const admitPassword = admitPasswordOf(limits, { caller, reply })
    await verifyEmail(context, { proof: { token }, password, admitPassword, caller })
    return 'verified'
  })
  serve('verify', async ({ caller }, reply, token) => {
    const admitPassword = admitPasswordOf(limits, { caller, reply })
    await verifyEmail(context, { proof: { token }, admitPassword, caller })
    return 'verified'
  })
  serve('reset', async ({ body, caller }, _reply, token) => {
    const password = passwordIn(body, 'new_password') ?? ''
    await resetPassword(context, { proof: { token }, password, caller })
    return 'password_set'
  })
  serve('undo', async ({ caller }, _reply, token) => {
    await undoEmailChange(context, token, caller)
    return 'undone'
  })
  if (!context.settings.email.magicLinks) return
  serve('sign_in', async (request, reply, token) => {
    const binding = readSignInCookie(request)
    const signIn = {
      proof: { token },
      binding,
      deviceToken: readDeviceCookie(request),
      caller: request.caller,
    }
    await deliverSignIn(context, request, reply, await signInByMail(context, signIn), 'cookie')
    return 'signed_in'
  })
}

/** None where the field was left empty, or is longer than any password. */
function passwordIn(body: Record<string, unknown> | undefined, name: string): string | undefined {
  const password = body?.[name]
  const isOne = typeof password === 'string' && password.length > 0 && password.length <= PASSWORD_FIELD_MAX
  return isOne ? password : undefined
}
