import { constants, createHmac, type KeyObject, sign, timingSafeEqual, verify } from 'node:crypto'
import { isLowS, toLowS } from './low-s.ts'

export type AsymmetricAlgorithm = 'ES256' | 'EdDSA' | 'RS256' | 'PS256'
export type TokenAlgorithm = AsymmetricAlgorithm | 'HS256'

type SignatureAlgorithm = {
  /** Whether a secret or public key is of the one kind this algorithm may use (RFC 8725 section 3.1). */
  fits(key: KeyObject): boolean
  sign(input: string, key: KeyObject): Buffer
  /** Never throws: a signature of the wrong length or form is a wrong signature. */
  verify(input: string, key: KeyObject, signature: Buffer): boolean
  /** Whether a valid signature is the one that `sign` writes; absent where there is only one. */
  isOurs?(signature: Buffer): boolean
}

/** RFC 7518 section 3.2: a key at least as long as the hash. */
const HS256: SignatureAlgorithm = {
  fits: ({ symmetricKeySize = 0 }) => symmetricKeySize >= 32,
  sign: (input, key) => createHmac('sha256', key).update(input).digest(),
  verify(input, key, signature) {
    const expected = HS256.sign(input, key)
    return signature.length === expected.length && timingSafeEqual(signature, expected)
  },
}

/**
 * RFC 7518 section 3.4: the signature is r and s, 32 bytes each, not DER.
 * Whoever has one can write its twin (r, n - s), which is as valid: of the two we write the smaller, and accept no other.
 */
const ES256: SignatureAlgorithm = {
  fits: (key) => key.asymmetricKeyDetails?.namedCurve === 'prime256v1',
  sign: (input, key) => toLowS(sign('sha256', bytes(input), { key, dsaEncoding: 'ieee-p1363' })),
  verify: (input, key, signature) =>
    verify('sha256', bytes(input), { key, dsaEncoding: 'ieee-p1363' }, signature),
  isOurs: isLowS,
}

/** RFC 8037 section 3.1, with Ed25519 as the only curve. */
const EdDSA: SignatureAlgorithm = {
  fits: (key) => key.asymmetricKeyType === 'ed25519',
  sign: (input, key) => sign(null, bytes(input), key),
  verify: (input, key, signature) => verify(null, bytes(input), key, signature),
}

/** RFC 7518 section 3.3. */
const RS256 = rsa({ padding: constants.RSA_PKCS1_PADDING })

/** RFC 7518 section 3.5: the salt is as long as the hash. */
const PS256 = rsa({ padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 })

export const ALGORITHMS: Readonly<Record<TokenAlgorithm, SignatureAlgorithm>> = {
  ES256,
  EdDSA,
  RS256,
  PS256,
  HS256,
}

function rsa(padding: { padding: number; saltLength?: number }): SignatureAlgorithm {
  return {
    fits: (key) => key.asymmetricKeyType === 'rsa' && Number(key.asymmetricKeyDetails?.modulusLength) >= 2048,
    sign: (input, key) => sign('sha256', bytes(input), { key, ...padding }),
    // A signature is as long as the modulus (RFC 8017 section 8): OpenSSL would take one without its leading zeros.
    verify: (input, key, signature) =>
      signature.length * 8 === key.asymmetricKeyDetails?.modulusLength &&
      verify('sha256', bytes(input), { key, ...padding }, signature),
  }
}

function bytes(input: string): Buffer {
  return Buffer.from(input)
}
