import { LRUCache } from 'lru-cache'
import { type Clock, type Timestamp, toSeconds } from '../clock.ts'
import {
  type AccessClaims,
  accessClaims,
  type DeviceClaims,
  deviceClaims,
  isAccessClaims,
  isDeviceClaims,
  isRefreshClaims,
  type RefreshClaims,
  refreshClaims,
} from './claims.ts'
import { signJws, verifyJws } from './jws.ts'
import { type Keyring, NO_SIGNER, noSigner } from './keyring.ts'

export type { AccessClaims, DeviceClaims, RefreshClaims }

export type Tokens = {
  /**
   * Asked before anything is written for which tokens are to be given.
   * @throws Problem `server_busy` where no key can sign access tokens
   */
  requireSigner(): void
  signAccess(claims: AccessClaims): string
  /** The claims of a token of ours that holds now; undefined for any other text. Says nothing of its session. */
  verifyAccess(token: string): AccessClaims | undefined
  /** What is remembered of verified access tokens, in bytes about. */
  cached(): { entries: number; bytes: number }
  signRefresh(claims: RefreshClaims): string
  /** The claims of a token of ours that holds now; undefined for any other text. Says nothing of its session. */
  verifyRefresh(token: string): RefreshClaims | undefined
  signDevice(claims: DeviceClaims): string
  /** The claims of a token of ours that holds now; undefined for any other text. */
  verifyDevice(token: string): DeviceClaims | undefined
}

type Verified<Claims> = { readonly claims: Claims; readonly notBefore: number }
type VerifiedBy<Claims> = Verified<Claims> & { readonly keyring: Keyring }

/**
 * Signs and verifies our own tokens (RFC 7519 section 7.2, RFC 8725, RFC 9068 section 4). Everything is synchronous,
 * and no text makes a verification throw.
 * There is no leeway between nodes, because all share one clock, and `iat` is not compared with it: a second may begin on one
 * node a little before it does on the next.
 */
export function createTokens(input: {
  /** The keys as they are now. */
  keyring: () => Keyring
  clock: Clock
  issuer: string
  audience: string
  /** Most that verified access tokens may take in memory, so that their signatures need not be checked again. */
  cacheBytes: number
  /** How long after its expiry a refresh token is still read: for who lost the reply to its last use. Default 0. */
  refreshLeewayMs?: number
}): Tokens {
  const { clock, issuer, audience, cacheBytes, refreshLeewayMs = 0 } = input
  const readAccess = (token: string): VerifiedBy<AccessClaims> | undefined => {
    const keyring = input.keyring()
    const payload = verifyJws(keyring.access, token)
    if (!isAccessClaims(payload) || payload.iss !== issuer || payload.aud !== audience) return undefined
    return { claims: accessClaims(payload), notBefore: payload.nbf ?? 0, keyring }
  }
  // Another keyring may lack the key that it was verified with.
  const isStill = ({ keyring }: VerifiedBy<AccessClaims>) => keyring === input.keyring()
  const verified = remember(cacheBytes, readAccess, isStill)
  const readRefresh = (token: string): Verified<RefreshClaims> | undefined => {
    const payload = verifyJws(input.keyring().refresh, token)
    if (!isRefreshClaims(payload)) return undefined
    return { claims: refreshClaims(payload), notBefore: payload.nbf ?? 0 }
  }
  const readDevice = (token: string): Verified<DeviceClaims> | undefined => {
    const payload = verifyJws(input.keyring().device, token)
    if (!isDeviceClaims(payload)) return undefined
    return { claims: deviceClaims(payload), notBefore: payload.nbf ?? 0 }
  }

  return {
    requireSigner() {
      if (input.keyring().access.current === NO_SIGNER) throw noSigner()
    },
    signAccess: (claims) => signJws(input.keyring().access.current, accessClaims(claims)),
    verifyAccess: (token) => currentClaims(verified.recall(token), clock.now()),
    cached: verified.size,
    signRefresh: (claims) => signJws(input.keyring().refresh.current, refreshClaims(claims)),
    verifyRefresh: (token) => currentClaims(readRefresh(token), clock.now(), refreshLeewayMs),
    signDevice: (claims) => signJws(input.keyring().device.current, deviceClaims(claims)),
    verifyDevice: (token) => currentClaims(readDevice(token), clock.now()),
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

/** About what a remembered token takes: its text, the claims that were in it, and the entry itself. Measured: 1,170 for 600 characters. */
const bytesOf = (token: string): number => 2 * token.length + 500

/**
 * The same function, which no longer computes what it found for the texts used last, while that still holds. Finding nothing
 * is forgotten.
 */
function remember<Value extends object>(
  maxSize: number,
  find: (text: string) => Value | undefined,
  isStill: (value: Value) => boolean,
) {
  const found = new LRUCache<string, Value>({ maxSize, sizeCalculation: (_value, text) => bytesOf(text) })
  const recall = (text: string): Value | undefined => {
    const known = found.get(text)
    if (known && isStill(known)) return known
    const value = find(text)
    if (value) found.set(copyOf(text), value)
    else if (known) found.delete(text)
    return value
  }
  return { recall, size: () => ({ entries: found.size, bytes: found.calculatedSize }) }
}

/** A text of its own: what a pattern matched is a slice to V8, which keeps the whole header line for it. */
const copyOf = (text: string): string => Buffer.from(text, 'latin1').toString('latin1')
