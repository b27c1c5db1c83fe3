import { type AccessClaims, accessClaims } from '../../../src/core/security/claims.ts'
import { signJws } from '../../../src/core/security/jws.ts'
import { createKeyring, generateSigningKey, type SigningKey } from '../../../src/core/security/keyring.ts'

export type { SigningKey }
export { generateSigningKey }

const keyring = (key: SigningKey) =>
  createKeyring({ algorithm: key.algorithm, secretKey: 'a root secret for tests', signingKeys: [key] })

/** A key as the server publishes it. */
export const publicJwk = (key: SigningKey): Record<string, unknown> => ({ ...keyring(key).jwks.keys[0] })

/** The claims of somebody who signed in a moment ago. */
export function someClaims(issuer: string, changes: Partial<AccessClaims> = {}): AccessClaims {
  const now = Math.floor(Date.now() / 1000)
  return {
    iss: issuer,
    aud: issuer,
    sub: '01992c2e-0000-7000-8000-00000000000a',
    sid: '01992c2e-0000-7000-8000-00000000000b',
    jti: 'Y2hpbGxpbmc',
    iat: now - 10,
    exp: now + 1790,
    auth_time: now - 900,
    amr: ['pwd', 'otp'],
    client_id: 'default',
    scope: 'orders:read profile',
    type: 'access',
    ...changes,
  }
}

/** A token as the server writes it, whatever the claims are. */
export const signToken = (key: SigningKey, claims: object): string =>
  signJws(keyring(key).access.current, claims)

export { accessClaims }
