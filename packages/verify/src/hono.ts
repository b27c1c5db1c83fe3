import {
  type AuthenticateOptions,
  createAuthenticate,
  createScopeCheck,
  type ScopeOptions,
} from './authenticate.ts'
import type { AccessClaims } from './claims.ts'
import { toResponse } from './to-response.ts'
import type { Verifier } from './verifier.ts'

/** What is needed of Hono's `Context`. */
export type HonoContext = {
  req: { header(name: string): string | undefined }
  get(name: 'claims'): AccessClaims | undefined
  set(name: 'claims', value: AccessClaims): void
}

export type HonoMiddleware = (
  context: HonoContext,
  next: () => Promise<void>,
) => Promise<Response | undefined>

/** Lets in whoever sends a good access token, with its claims as `c.get('claims')`; answers the others: 401, 403 or 503. */
export function authenticate(
  verifier: Pick<Verifier, 'verify'>,
  options?: AuthenticateOptions,
): HonoMiddleware {
  const judge = createAuthenticate(verifier, options)
  return async (context, next) => {
    const { claims, refusal } = await judge(context.req.header('authorization'))
    if (refusal) return toResponse(refusal)
    context.set('claims', claims)
    await next()
    return undefined
  }
}

/** Lets in who has been granted a scope; stands behind `authenticate`. */
export function requireScope(scope: string, options?: ScopeOptions): HonoMiddleware {
  const judge = createScopeCheck(scope, options)
  return async (context, next) => {
    const refusal = judge(context.get('claims'))
    if (refusal) return toResponse(refusal)
    await next()
    return undefined
  }
}
