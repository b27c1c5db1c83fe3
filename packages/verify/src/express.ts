import type { AuthenticateOptions, ScopeOptions } from './authenticate.ts'
import type { AccessClaims } from './claims.ts'
import * as node from './node.ts'
import type { Verifier } from './verifier.ts'

declare global {
  namespace Express {
    interface Request {
      /** Of whoever is calling, once the request was authenticated. */
      claims?: AccessClaims
    }
  }
}

/** A middleware as Express, Connect and others of their kind call it. */
export type Middleware = (
  request: node.NodeRequest,
  response: node.NodeResponse,
  next: (error?: unknown) => void,
) => void

/** Lets in whoever sends a good access token, with its claims as `req.claims`; answers the others: 401, 403 or 503. */
export function authenticate(verifier: Pick<Verifier, 'verify'>, options?: AuthenticateOptions): Middleware {
  const judge = node.authenticate(verifier, options)
  return (request, response, next) =>
    judge(request, response).then((claims) => {
      if (claims) next()
    }, next)
}

/** Lets in who has been granted a scope; stands behind `authenticate`. */
export function requireScope(scope: string, options?: ScopeOptions): Middleware {
  const judge = node.requireScope(scope, options)
  return (request, response, next) => {
    if (judge(request, response)) next()
  }
}
