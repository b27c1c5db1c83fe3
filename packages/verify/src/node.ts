import {
  type AuthenticateOptions,
  createAuthenticate,
  createScopeCheck,
  type ScopeOptions,
} from './authenticate.ts'
import type { AccessClaims } from './claims.ts'
import type { Refusal } from './refusal.ts'
import type { Verifier } from './verifier.ts'

/** What is needed of an `http.IncomingMessage`. */
export type NodeRequest = {
  headers: { authorization?: string | undefined }
  /** Of whoever is calling, once the request was authenticated. */
  claims?: AccessClaims
}

/** What is needed of an `http.ServerResponse`. */
export type NodeResponse = {
  statusCode: number
  setHeader(name: string, value: string): unknown
  end(body: string): unknown
}

/**
 * What authenticates requests of `node:http`.
 * @returns a function that gives the claims, and puts them on the request; undefined when it has answered: 401, 403 or 503
 */
export function authenticate(
  verifier: Pick<Verifier, 'verify'>,
  options?: AuthenticateOptions,
): (request: NodeRequest, response: NodeResponse) => Promise<AccessClaims | undefined> {
  const judge = createAuthenticate(verifier, options)
  return async (request, response) => {
    const { claims, refusal } = await judge(request.headers.authorization)
    if (refusal) {
      sendRefusal(response, refusal)
      return undefined
    }
    request.claims = claims
    return claims
  }
}

/** Whether a request that was authenticated before has a scope as well; false when it has answered. */
export function requireScope(
  scope: string,
  options?: ScopeOptions,
): (request: NodeRequest, response: NodeResponse) => boolean {
  const judge = createScopeCheck(scope, options)
  return (request, response) => {
    const refusal = judge(request.claims)
    if (refusal) sendRefusal(response, refusal)
    return !refusal
  }
}

function sendRefusal(response: NodeResponse, { status, headers, body }: Refusal): void {
  response.statusCode = status
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.end(body)
}
