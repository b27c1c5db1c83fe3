import type {} from 'fastify'
import {
  type AuthenticateOptions,
  createAuthenticate,
  createScopeCheck,
  type ScopeOptions,
} from './authenticate.ts'
import type { AccessClaims } from './claims.ts'
import type { Refusal } from './refusal.ts'
import type { Verifier } from './verifier.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Of whoever is calling; null where no hook of this package has run. */
    claims: AccessClaims
  }
}

/** What is needed of a `FastifyRequest`. */
export type FastifyRequestLike = { headers: { authorization?: string | undefined }; claims: AccessClaims }

/** What is needed of a `FastifyReply`. */
export type FastifyReplyLike = {
  code(status: number): FastifyReplyLike
  headers(values: Readonly<Record<string, string>>): FastifyReplyLike
  send(body: string): unknown
}

/** What is needed of a `FastifyInstance`. */
export type FastifyLike = {
  hasRequestDecorator(name: string): boolean
  decorateRequest(name: string, value: null): unknown
  addHook(name: 'onRequest', hook: FastifyHook): unknown
}

export type FastifyHook = (request: FastifyRequestLike, reply: FastifyReplyLike) => Promise<unknown>

export type PluginOptions = AuthenticateOptions & { verifier: Pick<Verifier, 'verify'> }

/** Authenticates every request of the context in which it is registered, and of those within. */
export async function posternVerify(
  app: FastifyLike,
  { verifier, ...options }: PluginOptions,
): Promise<void> {
  if (!app.hasRequestDecorator('claims')) app.decorateRequest('claims', null)
  app.addHook('onRequest', authenticate(verifier, options))
}

// For the context itself, rather than a new one within it.
Object.assign(posternVerify, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: '@postern/verify',
})

/** A hook that lets in whoever sends a good access token, with its claims as `request.claims`; answers the others: 401, 403 or 503. */
export function authenticate(verifier: Pick<Verifier, 'verify'>, options?: AuthenticateOptions): FastifyHook {
  const judge = createAuthenticate(verifier, options)
  return async (request, reply) => {
    const { claims, refusal } = await judge(request.headers.authorization)
    if (refusal) return sendRefusal(reply, refusal)
    request.claims = claims
  }
}

/** A hook that lets in who has been granted a scope; runs after the token was verified. */
export function requireScope(scope: string, options?: ScopeOptions): FastifyHook {
  const judge = createScopeCheck(scope, options)
  return async (request, reply) => {
    const refusal = judge(request.claims)
    return refusal && sendRefusal(reply, refusal)
  }
}

function sendRefusal(reply: FastifyReplyLike, { status, headers, body }: Refusal): FastifyReplyLike {
  reply.code(status).headers(headers).send(body)
  return reply
}
