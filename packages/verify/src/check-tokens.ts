import type { AccessClaims } from './claims.ts'
import type { Gap } from './gap.ts'
import type { Keys } from './keys.ts'
import { readToken, type SignedToken } from './read-token.ts'
import type { Revocations } from './revocations.ts'
import { createTokenCache } from './token-cache.ts'
import { TokenError, type TokenErrorCode } from './token-error.ts'

/**
 * Judges tokens by what is known, which may change between two calls. Of a token that was seen before nothing is computed
 * again, only looked up.
 */
export function createTokenCheck(known: {
  issuer: string
  audience: string
  maxTokens: number
  /** In ms. */
  now: () => number
  keys: Pick<Keys, 'find' | 'freshen' | 'seek'>
  revocations: Revocations
  /** Undefined: nobody is told which sessions end. */
  gap: Gap | undefined
}): { verify(token: string): Promise<AccessClaims>; size(): number } {
  const { now, keys, revocations, gap } = known
  const seen = createTokenCache<SignedToken>(known.maxTokens)

  /** Awaits nothing unless the keys are old. */
  function verify(token: string): Promise<AccessClaims> {
    const refreshed = keys.freshen()
    return refreshed ? refreshed.then(() => verifyByKnownKeys(token)) : verifyByKnownKeys(token)
  }

  function verifyByKnownKeys(token: string): Promise<AccessClaims> {
    const signed = seen.get(token)
    return signed ? judge(signed, token) : verifyUnseen(token)
  }

  async function verifyUnseen(token: string): Promise<AccessClaims> {
    const signed = await readToken(token, known)
    if (!signed) throw new TokenError('token_invalid')
    seen.set(token, signed)
    return judge(signed, token)
  }

  /** Awaits nothing unless there is a gap, or its key has changed. */
  function judge(signed: SignedToken, token: string): Promise<AccessClaims> {
    const fault = findFault(signed)
    if (fault) return Promise.reject(new TokenError(fault))
    // Its key is gone, or was published in other words.
    if (keys.find(signed.key.header) !== signed.key) return verifyUnseen(token)
    return gap?.isOpen() ? judgeInGap(gap, signed, token) : Promise.resolve(signed.claims)
  }

  async function judgeInGap(open: Gap, signed: SignedToken, token: string): Promise<AccessClaims> {
    // The feed may have told something meanwhile.
    const fault = (await open.findFault(token)) ?? findFault(signed)
    if (fault) throw new TokenError(fault)
    return signed.claims
  }

  /** Why a token is not good, as far as that is known (RFC 7519 sections 4.1.4 and 4.1.5). */
  function findFault({ claims, notBefore, key }: SignedToken): TokenErrorCode | undefined {
    const seconds = now() / 1000
    if (!(claims.exp > seconds)) return 'token_expired'
    if (!(notBefore <= seconds)) return 'token_invalid'
    const isRevoked = revocations.sessions.has(claims.sid) || revocations.keys.has(key.kid)
    return isRevoked ? 'token_revoked' : undefined
  }

  return { verify, size: seen.size }
}
