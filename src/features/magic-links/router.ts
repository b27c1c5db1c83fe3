import type { Context } from '../../context.ts'
import { Problem } from '../../core/problems.ts'
import type { App } from '../../http/app-type.ts'
import { acceptForms } from '../../http/body-parsers.ts'
import { acceptCookies, readDeviceCookie, readSignInCookie, setSignInCookie } from '../../http/cookies.ts'
import { deliverSignIn } from '../../http/deliver-tokens.ts'
import type { Limits } from '../../http/limits.ts'
import { admitMail, admitProof } from '../../http/mail-limits.ts'
import { refuseForeignOrigin } from '../../http/origins.ts'
import { FORM_OR_JSON, INPUT_PROBLEMS, problems, success } from '../../http/schemas.ts'
import { RefreshCookieHeader, TokenPair, TransportQuery } from '../auth/schemas.ts'
import { toEmailProof } from '../email-tokens/email-proof.ts'
import { EmailRequest } from '../email-tokens/schemas.ts'
import { checkEmail } from '../users/names.ts'
import { RedeemRequest, SignInRequested } from './schemas.ts'
import { requestSignIn, signInByMail } from './sign-in-by-mail.ts'

/** Signing in by mail, where MAGIC_LINKS says so. */
export async function magicLinksRouter(app: App, context: Context, limits: Limits): Promise<void> {
  await acceptForms(app)
  await acceptCookies(app)
  const { settings } = context
  const requireMagicLinks = async () => {
    if (!settings.email.magicLinks) throw new Problem('not_found')
  }

  app.post(
    '/auth/sign-in-link',
    {
      schema: {
        operationId: 'requestSignInLink',
        tags: ['email'],
        consumes: FORM_OR_JSON,
        summary: 'Ask for a mail that signs in',
        description:
          'Where MAGIC_LINKS is set. A link and a code, good for ten minutes, and only for the client or browser that asked. Those that were sent before end.',
        querystring: TransportQuery,
        body: EmailRequest,
        response: {
          202: success(
            SignInRequested,
            'Answered alike whether or not an account has the address',
            RefreshCookieHeader,
          ),
          ...problems(
            ...INPUT_PROBLEMS,
            'origin_not_allowed',
            'too_many_requests',
            'email_unavailable',
            'not_found',
            'database_unavailable',
          ),
        },
      },
      onRequest: requireMagicLinks,
    },
    async (request, reply) => {
      const { transport } = request.query
      if (transport === 'cookie') refuseForeignOrigin(request, settings)
      const { caller } = request
      const email = checkEmail(request.body.email)
      await admitMail(limits, { caller, reply }, 'sign-in', email)
      const request_token = await requestSignIn(context, email, caller)
      const detail = 'If an account has this address, a mail is on its way to it'
      if (transport !== 'cookie') return reply.code(202).send({ detail, request_token })
      setSignInCookie(reply, request_token)
      return reply.code(202).send({ detail })
    },
  )

  app.post(
    '/auth/sign-in-link/redeem',
    {
      schema: {
        operationId: 'signInByLink',
        tags: ['email'],
        consumes: FORM_OR_JSON,
        summary: 'Sign in by what was sent to the address',
        description:
          'Where MAGIC_LINKS is set. Send the token of the link, or the address and the code; with them what the client was given when it asked.',
        querystring: TransportQuery,
        body: RedeemRequest,
        response: {
          200: success(TokenPair, 'Signed in', RefreshCookieHeader),
          ...problems(
            ...INPUT_PROBLEMS,
            'email_token_invalid',
            'email_token_used',
            'email_token_elsewhere',
            'inactive_user',
            'not_found',
            'origin_not_allowed',
            'too_many_requests',
            'server_busy',
            'database_unavailable',
          ),
        },
      },
      onRequest: requireMagicLinks,
    },
    async (request, reply) => {
      const { transport } = request.query
      if (transport === 'cookie') refuseForeignOrigin(request, settings)
      const { caller, body } = request
      const binding = body.request_token ?? readSignInCookie(request)
      // Without it no code is tried at.
      await admitProof(limits, { caller, reply }, 'sign-in', binding === undefined ? {} : body)
      const deviceToken = body.device_token ?? readDeviceCookie(request)
      const pair = await signInByMail(context, { proof: toEmailProof(body), binding, deviceToken, caller })
      return deliverSignIn(context, request, reply, pair, transport)
    },
  )
}
