import { isLowS } from './low-s.ts'

/** What the Web Cryptography API is told, and which members of a JWK hold the key (RFC 7518 section 6, RFC 8037 section 2). */
type Algorithm = {
  type: { kty: string; crv?: string }
  members: readonly string[]
  importing: { name: string; namedCurve?: string; hash?: string }
  verifying: { name: string; hash?: string; saltLength?: number }
  /** Whether a signature has the one form in which the server writes it. */
  hasForm(signature: Uint8Array, key: CryptoKey): boolean
}

const RSA = { type: { kty: 'RSA' }, members: ['n', 'e'] }

/** RFC 7518 section 3.4: r and s, 32 bytes each. RFC 8037 section 3.1, with Ed25519 as the only curve. RFC 7518 sections 3.3 and 3.5. */
const ALGORITHMS: Readonly<Record<string, Algorithm>> = {
  ES256: {
    type: { kty: 'EC', crv: 'P-256' },
    members: ['x', 'y'],
    importing: { name: 'ECDSA', namedCurve: 'P-256' },
    verifying: { name: 'ECDSA', hash: 'SHA-256' },
    hasForm: (signature) => signature.length === 64 && isLowS(signature),
  },
  EdDSA: {
    type: { kty: 'OKP', crv: 'Ed25519' },
    members: ['x'],
    importing: { name: 'Ed25519' },
    verifying: { name: 'Ed25519' },
    hasForm: (signature) => signature.length === 64,
  },
  RS256: {
    ...RSA,
    importing: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    verifying: { name: 'RSASSA-PKCS1-v1_5' },
    hasForm: isAsLongAsModulus,
  },
  PS256: {
    ...RSA,
    importing: { name: 'RSA-PSS', hash: 'SHA-256' },
    verifying: { name: 'RSA-PSS', saltLength: 32 },
    hasForm: isAsLongAsModulus,
  },
}

export const findAlgorithm = (name: unknown): Algorithm | undefined =>
  typeof name === 'string' && Object.hasOwn(ALGORITHMS, name) ? ALGORITHMS[name] : undefined

/** RFC 8017 section 8. */
function isAsLongAsModulus(signature: Uint8Array, key: CryptoKey): boolean {
  return signature.length * 8 === modulusBits(key)
}

/** Infinity for a key that has no modulus. */
export function modulusBits({ algorithm }: CryptoKey): number {
  return 'modulusLength' in algorithm ? Number(algorithm.modulusLength) : Number.POSITIVE_INFINITY
}
