import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Context } from '../../context.ts'
import { Problem, type ProblemCode } from '../../core/problems.ts'
import type { EmailLink } from '../../core/settings/email.ts'
import type { App } from '../../http/app-type.ts'
import { acceptForms } from '../../http/body-parsers.ts'
import { acceptCookies, readDeviceCookie, readSignInCookie } from '../../http/cookies.ts'
import { deliverSignIn } from '../../http/deliver-tokens.ts'
import type { Limits } from '../../http/limits.ts'
import { admitProof } from '../../http/mail-limits.ts'
import { logProblem, setProblem } from '../../http/problems.ts'
import { PAGE_PATHS } from '../email/links.ts'
import { chooseLocale } from '../email/locales.ts'
import type { Outcome, Page } from '../email/pages.ts'
import { renderPage } from '../email/render-page.ts'
import { verifyEmail } from '../email-tokens/verify-email.ts'
import { signInByMail } from '../magic-links/sign-in-by-mail.ts'
import { PASSWORD_REFUSALS, type PasswordRefusal } from '../passwords/refusals.ts'
import { resetPassword } from '../passwords/reset-password.ts'
import { undoEmailChange } from '../users/change-email.ts'

/** What a page says of a problem; of any other that it is unavailable. */
const OUTCOMES: Readonly<Partial<Record<ProblemCode, Outcome>>> = {
  email_token_invalid: 'link_invalid',
  email_token_used: 'link_invalid',
  email_token_elsewhere: 'wrong_browser',
  validation_failed: 'link_invalid',
  email_taken: 'taken',
  username_taken: 'taken',
  inactive_user: 'link_invalid',
  too_many_requests: 'too_many_tries',
}

type PageRequest = FastifyRequest<{
  Querystring: { token?: unknown }
  Body: Record<string, unknown> | undefined
}>

/**
 * The pages that links in mails lead to. A GET changes nothing, and does not even look whether the token is good: programs
 * follow links before people do. The button posts.
 */
export async function emailPagesRouter(app: App, context: Context, limits: Limits): Promise<void> {
  await acceptForms(app)
  await acceptCookies(app)
  const { settings, templates } = context
  const base = new URL(settings.publicUrl).pathname.replace(/\/$/, '')
  const images = templates.imageOrigin ?? "'none'"
  const policy = `default-src 'none'; style-src '${templates.pageStyleHash}'; img-src ${images}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`

  const show = (request: FastifyRequest, reply: FastifyReply, page: Page) => {
    const locale = chooseLocale(templates, { acceptLanguage: request.caller.acceptLanguage })
    reply.headers({
      'content-security-policy': policy,
      'content-type': 'text/html; charset=utf-8',
      vary: 'accept-language',
    })
    return reply.send(renderPage(templates, page, locale))
  }
  const formOf = (kind: EmailLink, token: string, refusals: PasswordRefusal[] = []): Page => {
    const form = { action: `${base}${PAGE_PATHS[kind]}`, hidden: { token } }
    return kind === 'reset'
      ? { kind, ...form, minLength: settings.passwordMinLength, refusals }
      : { kind, ...form }
  }

  /** @param use what the button does; gives the page that says so */
  const serve = (
    kind: EmailLink,
    use: (request: PageRequest, reply: FastifyReply, token: string) => Promise<Outcome>,
  ) => {
    const hidden = { schema: { hide: true } }
    app.get<{ Querystring: { token?: unknown } }>(PAGE_PATHS[kind], hidden, async (request, reply) => {
      const { token } = request.query
      if (!isToken(token)) return show(request, reply.code(400), { kind: 'link_invalid' })
      return show(request, reply, formOf(kind, token))
    })
    app.post(PAGE_PATHS[kind], hidden, async (request: PageRequest, reply) => {
      const token = request.body?.token
      try {
        await admitProof(limits, { caller: request.caller, reply }, {})
        if (!isToken(token)) throw new Problem('email_token_invalid')
        return show(request, reply, { kind: await use(request, reply, token) })
      } catch (error) {
        if (!(error instanceof Problem)) throw error
        logProblem(request, error, error)
        setProblem(reply, error, context)
        const refusal = PASSWORD_REFUSALS.find((known) => known === error.context?.refusal)
        if (refusal && isToken(token)) return show(request, reply, formOf(kind, token, [refusal]))
        return show(request, reply, { kind: OUTCOMES[error.code] ?? 'unavailable' })
      }
    })
  }

  serve('verify', async ({ caller }, _reply, token) => {
    await verifyEmail(context, { token }, caller)
    return 'verified'
  })
  serve('reset', async ({ body, caller }, _reply, token) => {
    const password = typeof body?.new_password === 'string' ? body.new_password : ''
    await resetPassword(context, { proof: { token }, password, caller })
    return 'password_set'
  })
  serve('undo', async ({ caller }, _reply, token) => {
    await undoEmailChange(context, token, caller)
    return 'undone'
  })
  if (!settings.email.magicLinks) return
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

const isToken = (token: unknown): token is string => typeof token === 'string' && /^[\w-]{1,512}$/.test(token)
