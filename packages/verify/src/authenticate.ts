import { type AccessClaims, hasScope } from './claims.ts'
import { createRefuse, type Refusal } from './refusal.ts'
import { TokenError } from './token-error.ts'
import type { Verifier } from './verifier.ts'

export type AuthenticateOptions = {
  /** What the token must have been granted: names with a space between them, all of which are needed. */
  scope?: string | undefined
  /** Names what is protected, for whoever is asked for a token. Default `api`. */
  realm?: string | undefined
}

export type ScopeOptions = Pick<AuthenticateOptions, 'realm'>

type Outcome = { claims: AccessClaims; refusal?: undefined } | { claims?: undefined; refusal: Refusal }

/** Judges requests by their `Authorization` header: no other place is looked at (RFC 6750 section 2). */
export function createAuthenticate(
  verifier: Pick<Verifier, 'verify'>,
  options: AuthenticateOptions = {},
): (authorization: string | null | undefined) => Promise<Outcome> {
  const { scope } = options
  const refuse = createRefuse(options)
  return async (authorization) => {
    try {
      const claims = await verifier.verify(readBearer(authorization))
      if (scope !== undefined && !hasScope(claims, scope)) throw new TokenError('insufficient_scope')
      return { claims }
    } catch (error) {
      if (error instanceof TokenError) return { refusal: refuse(error) }
      throw error
    }
  }
}

/** Judges requests by the claims that they were let in with. */
export function createScopeCheck(
  scope: string,
  { realm }: ScopeOptions = {},
): (claims: AccessClaims | null | undefined) => Refusal | undefined {
  const refuse = createRefuse({ realm, scope })
  return (claims) => {
    if (!claims) return refuse(new TokenError('token_missing'))
    return hasScope(claims, scope) ? undefined : refuse(new TokenError('insufficient_scope'))
  }
}

/** RFC 6750 section 2.1, the scheme in any case (RFC 9110 section 11.1). */
function readBearer(authorization: string | null | undefined): string {
  const match = /^bearer(?: +(.*))?$/i.exec(authorization ?? '')
  if (!match) throw new TokenError('token_missing')
  return match[1] ?? ''
}
