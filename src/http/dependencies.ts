import type { FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'
import { type Caller, createCaller } from '../core/caller.ts'
import { PROBLEMS, Problem } from '../core/problems.ts'
import type { Scope } from '../core/scopes.ts'
import { isServiceKey, readServiceKey } from '../features/service-keys/service-keys.ts'
import { type Authenticated, authenticate } from '../features/sessions/authenticate.ts'
import type { App } from './app-type.ts'
import { bearerToken } from './bearer-token.ts'
import { clientAddress } from './forwarding.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Where the request came from. */
    caller: Caller
  }
}

/** Takes down where each request came from as it comes in: once the client hangs up, its address is gone. */
export function rememberCallers(app: App): void {
  app.decorateRequest('caller')
  app.addHook('onRequest', (request, _reply, done) => {
    const { headers } = request
    request.caller = createCaller(clientAddress(request), headers['user-agent'], request.id)
    request.caller.acceptLanguage = headers['accept-language']
    done()
  })
}

/** Holds routes that take a bearer token to one way of sending it (RFC 6750 section 2): only the header is read. */
export function refuseSecondTokens(app: App): void {
  app.addHook('preValidation', (request, _reply, done) => {
    const isElsewhere = holdsToken(request.query) || holdsToken(request.body)
    const isTwice = isElsewhere && bearerToken(request) !== undefined && takesBearer(request)
    done(isTwice ? new Problem('token_sent_twice') : undefined)
  })
}

const holdsToken = (fields: unknown): boolean =>
  typeof fields === 'object' && fields !== null && 'access_token' in fields

const takesBearer = ({ routeOptions }: FastifyRequest): boolean =>
  routeOptions.schema?.security?.some((scheme) => 'bearer' in scheme) ?? false

/**
 * Who is calling.
 * @throws Problem `not_authenticated`, `access_token_invalid`, `inactive_user`
 */
export async function currentUser(context: Context, request: FastifyRequest): Promise<Authenticated> {
  const token = bearerToken(request)
  if (token === undefined) throw new Problem('not_authenticated')
  const user = await authenticate(context, token)
  request.caller.userId = user.id
  return user
}

/**
 * Who is calling, and that they are a superuser.
 * @throws Problem also `not_enough_permissions`
 */
export async function currentSuperuser(context: Context, request: FastifyRequest): Promise<Authenticated> {
  const user = await currentUser(context, request)
  if (!user.is_superuser) throw new Problem('not_enough_permissions')
  return user
}

/** Whether who was let in may do it still: while nobody can tell, they may. */
export async function hasScope(context: Context, request: FastifyRequest, scope: Scope): Promise<boolean> {
  try {
    await requireScope(context, request, scope)
    return true
  } catch (error) {
    if (error instanceof Problem) return PROBLEMS[error.code].status >= 500
    throw error
  }
}

/**
 * Lets in who may do this: a service of the operator's by its key, or a person whose token has the scope.
 * @throws Problem `not_authenticated`, `access_token_invalid`, `inactive_user`, `insufficient_scope`
 */
export async function requireScope(context: Context, request: FastifyRequest, scope: Scope): Promise<void> {
  const token = bearerToken(request)
  if (token === undefined) throw new Problem('not_authenticated')
  const granted = isServiceKey(token)
    ? await readServiceKey(context, token)
    : (await currentUser(context, request)).scope
  if (granted === undefined) throw new Problem('access_token_invalid')
  if (!granted.split(' ').includes(scope)) throw new Problem('insufficient_scope', { scope })
}
