import { type Clock, type Timestamp, toSeconds } from '../clock.ts'
import {
  type AccessClaims,
  accessClaims,
  isAccessClaims,
  isRefreshClaims,
  type RefreshClaims,
  refreshClaims,
} from './claims.ts'
import { signJws, verifyJws } from './jws.ts'
import type { Keyring } from './keyring.ts'

export type { AccessClaims, RefreshClaims }

export type Tokens = {
  signAccess(claims: AccessClaims): string
  /** The claims of a token of ours that holds now; undefined for any other text. Says nothing of its session. */
  verifyAccess(token: string): AccessClaims | undefined
  signRefresh(claims: RefreshClaims): string
  /** The claims of a token of ours that holds now; undefined for any other text. Says nothing of its session. */
  verifyRefresh(token: string): RefreshClaims | undefined
}

const MAX_REMEMBERED = 10_000

type Verified<Claims> = { readonly claims: Claims; readonly notBefore: number }

/**
 * Signs and verifies our own tokens (RFC 7519 section 7.2, RFC 8725, RFC 9068 section 4). Everything is synchronous,
 * and no text makes a verification throw.
 * There is no leeway between nodes, because all share one clock, and `iat` is not compared with it: a second may begin on one
 * node a little before it does on the next.
 */
export function createTokens(input: {
  keyring: Keyring
  clock: Clock
  issuer: string
  audience: string
  /** How long after its expiry a refresh token is still read: for who lost the reply to its last use. Default 0. */
  refreshLeewayMs?: number
}): Tokens {
  const { keyring, clock, issuer, audience, refreshLeewayMs = 0 } = input
  const readAccess = remember(MAX_REMEMBERED, (token): Verified<AccessClaims> | undefined => {
    const payload = verifyJws(keyring.access, token)
    if (!isAccessClaims(payload) || payload.iss !== issuer || payload.aud !== audience) return undefined
    return { claims: accessClaims(payload), notBefore: payload.nbf ?? 0 }
  })
  const readRefresh = (token: string): Verified<RefreshClaims> | undefined => {
    const payload = verifyJws(keyring.refresh, token)
    if (!isRefreshClaims(payload)) return undefined
    return { claims: refreshClaims(payload), notBefore: payload.nbf ?? 0 }
  }

  return {
    signAccess: (claims) => signJws(keyring.access.current, accessClaims(claims)),
    verifyAccess: (token) => currentClaims(readAccess(token), clock.now()),
    signRefresh: (claims) => signJws(keyring.refresh.current, refreshClaims(claims)),
    verifyRefresh: (token) => currentClaims(readRefresh(token), clock.now(), refreshLeewayMs),
  }
}

/** The claims, unless they have expired or do not hold yet (RFC 7519 sections 4.1.4 and 4.1.5). */
function currentClaims<Claims extends { exp: number }>(
  verified: Verified<Claims> | undefined,
  now: Timestamp,
  leewayMs = 0,
): Claims | undefined {
  if (!verified) return undefined
  const isCurrent = verified.claims.exp > toSeconds(now - leewayMs) && verified.notBefore <= toSeconds(now)
  return isCurrent ? verified.claims : undefined
}

/** The same function, which no longer computes what it found for the last `size` texts. Finding nothing is forgotten. */
function remember<Value>(size: number, find: (text: string) => Value | undefined) {
  const found = new Map<string, Value>()
  return (text: string): Value | undefined => {
    const known = found.get(text)
    if (known) return known
    const value = find(text)
    if (value) found.set(text, value)
    const [oldest] = found.keys()
    if (found.size > size && oldest) found.delete(oldest)
    return value
  }
}
