import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'
import { Problem, type ProblemCode } from '../core/problems.ts'
import type { EmailLink } from '../core/settings/email.ts'
import { PAGE_PATHS } from '../features/email/links.ts'
import { chooseLocale } from '../features/email/locales.ts'
import type { Outcome, Page } from '../features/email/pages.ts'
import { renderPage } from '../features/email/render-page.ts'
import { PASSWORD_REFUSALS, type PasswordRefusal } from '../features/passwords/refusals.ts'
import type { App } from './app-type.ts'
import type { Limits } from './limits.ts'
import { admitProof } from './mail-limits.ts'
import { logProblem, setProblem } from './problems.ts'

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
  too_many_failures: 'too_many_tries',
}

const INCORRECT: readonly ProblemCode[] = ['registration_password_incorrect', 'current_password_incorrect']

type PageRequest = FastifyRequest<{
  Querystring: { token?: unknown }
  Body: Record<string, unknown> | undefined
}>

/** What the button of a page does; gives what the page says of it. */
type Use = (request: PageRequest, reply: FastifyReply, token: string) => Promise<Outcome>

/** Serves the page of a link: to look at, and to press its button. */
type ServePage = (kind: EmailLink, use: Use) => void

export function createPageServer(app: App, context: Context, limits: Limits): ServePage {
  const show = createShow(context)
  const formOf = createForms(context)
  /** Where a password is asked for, or another one may do. */
  const formAgain = (kind: EmailLink, token: string, { code, context }: Problem): Page | undefined => {
    const refusal = PASSWORD_REFUSALS.find((known) => known === context?.refusal)
    if (refusal) return formOf(kind, token, { refusals: [refusal] })
    if (kind === 'verify' && code === 'validation_failed') return formOf('confirm', token)
    const isWithout = kind === 'confirm' && code === 'validation_failed'
    return isWithout || INCORRECT.includes(code) ? formOf(kind, token, { isRefused: true }) : undefined
  }
  return (kind, use) => {
    const hidden = { schema: { hide: true } }
    app.get<{ Querystring: { token?: unknown } }>(PAGE_PATHS[kind], hidden, async (request, reply) => {
      const { token } = request.query
      if (!isToken(token)) return show(request, reply.code(400), { kind: 'link_invalid' })
      return show(request, reply, formOf(kind, token))
    })
    app.post(PAGE_PATHS[kind], hidden, async (request: PageRequest, reply) => {
      const token = request.body?.token
      try {
        await admitProof(limits, { caller: request.caller, reply }, 'account', {})
        if (!isToken(token)) throw new Problem('email_token_invalid')
        return show(request, reply, { kind: await use(request, reply, token) })
      } catch (error) {
        if (!(error instanceof Problem)) throw error
        logProblem(request, error, error)
        setProblem(reply, error, context)
        const form = isToken(token) ? formAgain(kind, token, error) : undefined
        return show(request, reply, form ?? { kind: OUTCOMES[error.code] ?? 'unavailable' })
      }
    })
  }
}

function createShow({ templates }: Context) {
  const images = templates.imageOrigin ?? "'none'"
  const policy = `default-src 'none'; style-src '${templates.pageStyleHash}'; img-src ${images}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`
  return (request: FastifyRequest, reply: FastifyReply, page: Page) => {
    const locale = chooseLocale(templates, { acceptLanguage: request.caller.acceptLanguage })
    reply.headers({
      'content-security-policy': policy,
      'content-type': 'text/html; charset=utf-8',
      vary: 'accept-language',
    })
    return reply.send(renderPage(templates, page, locale))
  }
}

/** Why a password was not taken. */
type Refused = { refusals?: PasswordRefusal[]; isRefused?: boolean }

function createForms({ settings }: Context) {
  const base = new URL(settings.publicUrl).pathname.replace(/\/$/, '')
  return (kind: EmailLink, token: string, refused: Refused = {}): Page => {
    const form = { action: `${base}${PAGE_PATHS[kind]}`, hidden: { token }, ...refused }
    return kind === 'reset' ? { kind, ...form, minLength: settings.passwordMinLength } : { kind, ...form }
  }
}

const isToken = (token: unknown): token is string => typeof token === 'string' && /^[\w-]{1,512}$/.test(token)
