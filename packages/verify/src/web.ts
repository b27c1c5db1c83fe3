import {
  type AuthenticateOptions,
  createAuthenticate,
  createScopeCheck,
  type ScopeOptions,
} from './authenticate.ts'
import type { AccessClaims } from './claims.ts'
import { toResponse } from './to-response.ts'
import type { Verifier } from './verifier.ts'

/** The claims, or the reply to a request that is not let in. */
export type WebOutcome =
  | { claims: AccessClaims; response?: undefined }
  | { claims?: undefined; response: Response }

/** What authenticates a `Request`, wherever servers take one and give a `Response`. */
export function authenticate(
  verifier: Pick<Verifier, 'verify'>,
  options?: AuthenticateOptions,
): (request: Pick<Request, 'headers'>) => Promise<WebOutcome> {
  const judge = createAuthenticate(verifier, options)
  return async ({ headers }) => {
    const { claims, refusal } = await judge(headers.get('authorization'))
    return refusal ? { response: toResponse(refusal) } : { claims }
  }
}

/** What checks the scope of claims; gives the reply to whoever lacks it. */
export function requireScope(
  scope: string,
  options?: ScopeOptions,
): (claims: AccessClaims | undefined) => Response | undefined {
  const judge = createScopeCheck(scope, options)
  return (claims) => {
    const refusal = judge(claims)
    return refusal && toResponse(refusal)
  }
}
