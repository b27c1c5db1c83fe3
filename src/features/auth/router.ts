import type { FastifyRequest } from 'fastify'
import type { Context } from '../../context.ts'
import { invalidField } from '../../core/problems.ts'
import type { App } from '../../http/app-type.ts'
import { acceptForms, takeEmptyBody } from '../../http/body-parsers.ts'
import { acceptCookies, clearRefreshCookie, readDeviceCookie, readRefreshCookie } from '../../http/cookies.ts'
import { deliverSignIn, deliverTokens } from '../../http/deliver-tokens.ts'
import { currentUser } from '../../http/dependencies.ts'
import { addressOf, type Limits } from '../../http/limits.ts'
import { admitMail } from '../../http/mail-limits.ts'
import { refuseForeignOrigin, requireAllowedOrigin } from '../../http/origins.ts'
import {
  AUTHENTICATION_PROBLEMS,
  FORM_OR_JSON,
  INPUT_PROBLEMS,
  NoContent,
  problems,
  success,
} from '../../http/schemas.ts'
import { admitBy } from '../../http/sign-in-limits.ts'
import { Accepted } from '../email-tokens/schemas.ts'
import { refreshSession } from '../sessions/refresh.ts'
import { identifierKey } from '../users/names.ts'
import { login } from './login.ts'
import { identifySession, isSignedOut, type LogoutScope, logout } from './logout.ts'
import { register } from './register.ts'
import {
  LoginRequest,
  LogoutQuery,
  LogoutRequest,
  RefreshCookieHeader,
  RefreshRequest,
  RegisterRequest,
  TokenPair,
  TransportQuery,
} from './schemas.ts'

export async function authRouter(app: App, context: Context, limits: Limits): Promise<void> {
  await acceptForms(app)
  await acceptCookies(app)
  const { settings } = context

  app.post(
    '/auth/register',
    {
      schema: {
        operationId: 'register',
        tags: ['auth'],
        consumes: FORM_OR_JSON,
        summary: 'Create an account and sign in',
        description:
          'Taken names and addresses are compared without regard to case. Where the server asks for it, the account begins when its address is verified.',
        querystring: TransportQuery,
        body: RegisterRequest,
        response: {
          200: success(TokenPair, 'Registered and signed in', RefreshCookieHeader),
          202: success(
            Accepted,
            'Where addresses are verified first: answered alike whether or not it is known',
          ),
          ...problems(
            ...INPUT_PROBLEMS,
            'username_taken',
            'email_taken',
            'origin_not_allowed',
            'captcha_required',
            'too_many_requests',
            'server_busy',
            'database_unavailable',
          ),
        },
      },
    },
    async (request, reply) => {
      const { transport } = request.query
      if (transport === 'cookie') refuseForeignOrigin(request, settings)
      const { caller } = request
      const { captcha_token: captchaToken, ...newUser } = request.body
      await limits.take({ caller, reply }, 'register-address', [addressOf(caller)])
      await limits.take({ caller, reply }, 'register-server', [])
      const pair = await register(context, newUser, {
        captchaToken,
        caller,
        admitMail: (email) => admitMail(limits, { caller, reply }, 'register', email),
      })
      if (!pair)
        return reply
          .code(202)
          .send({ detail: 'Verify your e-mail address: a link and a code are on their way to it' })
      return deliverSignIn(context, request, reply, pair, transport)
    },
  )

  app.post(
    '/auth/login',
    {
      schema: {
        operationId: 'login',
        tags: ['auth'],
        consumes: FORM_OR_JSON,
        summary: 'Sign in with username or e-mail address and password',
        description:
          'The password form of OAuth 2, or the same as JSON. An unknown user and a wrong password cannot be told apart. Client credentials, as some tools add them, are ignored.',
        querystring: TransportQuery,
        body: LoginRequest,
        response: {
          200: success(TokenPair, 'Signed in', RefreshCookieHeader),
          ...problems(
            ...INPUT_PROBLEMS,
            'invalid_credentials',
            'inactive_user',
            'email_not_verified',
            'origin_not_allowed',
            'captcha_required',
            'too_many_requests',
            'too_many_failures',
            'server_busy',
            'database_unavailable',
          ),
        },
      },
    },
    async (request, reply) => {
      const { transport } = request.query
      if (transport === 'cookie') refuseForeignOrigin(request, settings)
      const { caller } = request
      const { username: identifier, password, captcha_token: captchaToken } = request.body
      const deviceToken = request.body.device_token ?? readDeviceCookie(request)
      const admit = admitBy(limits, { caller, reply }, identifierKey(identifier))
      const signIn = {
        identifier,
        password,
        deviceToken,
        captchaToken,
        caller,
        admitMail: (email: string) => admitMail(limits, { caller, reply }, 'verify', email),
      }
      const pair = await login(context, signIn, admit)
      return deliverSignIn(context, request, reply, pair, transport)
    },
  )

  app.post(
    '/auth/refresh',
    {
      schema: {
        operationId: 'refreshSession',
        tags: ['auth'],
        consumes: FORM_OR_JSON,
        summary: 'Trade a refresh token for the next pair',
        description:
          'Store the new refresh token in place of the old. A reply that got lost may be asked for again with the same token; anything older ends the session. Without a body, the cookie of `?transport=cookie` is used, and the next token goes there.',
        security: [{}, { refreshCookie: [] }],
        body: RefreshRequest,
        response: {
          200: success(TokenPair, 'The next pair', RefreshCookieHeader),
          ...problems(
            ...INPUT_PROBLEMS,
            'refresh_token_invalid',
            'refresh_token_reused',
            'origin_not_allowed',
            'too_many_requests',
            'server_busy',
            'database_unavailable',
          ),
        },
      },
      preValidation: takeEmptyBody,
    },
    async (request, reply) => {
      const { caller } = request
      await limits.take({ caller, reply }, 'refresh-address', [addressOf(caller)])
      const sent = request.body.refresh_token
      const refreshToken = sent ?? refreshCookie(request)
      if (refreshToken === undefined) throw invalidField('/refresh_token', 'is missing')
      const pair = await refreshSession(context, { refreshToken, caller })
      return deliverTokens(context, reply, pair, sent === undefined ? 'cookie' : 'body')
    },
  )

  app.post(
    '/auth/logout',
    {
      schema: {
        operationId: 'logout',
        tags: ['auth'],
        consumes: FORM_OR_JSON,
        summary: 'Sign out: this session, all others, or both',
        description:
          'The session is that of the refresh token in the body, else of the bearer, else (also if that has expired) of the cookie. Its tokens are dead at once. What has ended before is no failure.',
        security: [{ bearer: [] }, {}, { refreshCookie: [] }],
        querystring: LogoutQuery,
        body: LogoutRequest,
        response: {
          204: success(NoContent, 'Signed out', RefreshCookieHeader),
          ...problems(
            ...INPUT_PROBLEMS,
            ...AUTHENTICATION_PROBLEMS,
            'refresh_token_invalid',
            'origin_not_allowed',
          ),
        },
      },
      preValidation: takeEmptyBody,
    },
    async (request, reply) => {
      const scope = request.query.scope ?? 'session'
      const session = await sessionToEnd(request, request.body.refresh_token, scope)
      await logout(context, { ...session, scope, caller: request.caller })
      const kept = readRefreshCookie(request)
      if (kept !== undefined && isSignedOut(context, kept, session, scope)) clearRefreshCookie(reply)
      return reply.code(204).send(null)
    },
  )

  /** The refresh token of the cookie, if there is one and the request comes from an allowed page. */
  const refreshCookie = (request: FastifyRequest): string | undefined => {
    const refreshToken = readRefreshCookie(request)
    if (refreshToken !== undefined) requireAllowedOrigin(request, settings)
    return refreshToken
  }

  /** A refresh token in the body says which session, else the bearer, else (also if that has expired) the cookie. */
  const sessionToEnd = async (request: FastifyRequest, sent: string | undefined, scope: LogoutScope) => {
    if (sent !== undefined) return identifySession(context, sent, scope)
    try {
      const { id: userId, session_id: sessionId } = await currentUser(context, request)
      return { userId, sessionId }
    } catch (error) {
      const kept = refreshCookie(request)
      if (kept === undefined) throw error
      return identifySession(context, kept, scope)
    }
  }
}
