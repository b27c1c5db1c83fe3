import { createHmac, createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import type { JWK } from 'jose'
import { calculateJwkThumbprint } from 'jose/jwk/thumbprint'
import { exportJWK } from 'jose/key/export'
import { generateKeyPair } from 'jose/key/generate/keypair'
import { type Problem, StartupError, serverBusy } from '../problems.ts'
import { ALGORITHMS, type AsymmetricAlgorithm, type TokenAlgorithm } from './algorithms.ts'
import { deriveKey, type KeyLabel } from './secrets.ts'

/** A key bound to one algorithm and one kind of token. */
export type TokenKey = {
  kid: string
  algorithm: TokenAlgorithm
  /** The first part of every token of this key, in base64url: no other header is ever accepted. */
  header: string
  /** Signs a JWS signing input (RFC 7515 section 5.1); the signature in base64url. */
  sign(input: string): string
  verify(input: string, signature: Buffer): boolean
}

export type KeySet = {
  /** Signs; of access tokens `NO_SIGNER` where none can. */
  current: TokenKey
  /** Verify: every accepted key by the one header its tokens have. */
  byHeader: ReadonlyMap<string, TokenKey>
}

export type Keyring = {
  access: KeySet
  refresh: KeySet
  device: KeySet
  /** The public keys that verify access tokens (RFC 7517 section 5). With HS256 only those that did before. */
  jwks: { keys: JWK[] }
}

export type SigningKey = {
  /** JWK thumbprint (RFC 7638). */
  kid: string
  algorithm: AsymmetricAlgorithm
  publicJwk: JWK
  privateJwk: JWK
}

export type KeyringInput = {
  /** Of access tokens, undefined where none can be signed. What only this server reads is always HS256. */
  algorithm: TokenAlgorithm | undefined
  secretKey: string
  /** Also accepted, never signs. */
  secretKeyPrevious?: string | undefined
  /** The last one of `algorithm` signs, if there is one; all verify. */
  signingKeys: readonly SigningKey[]
}

export const noSigner = (): Problem => serverBusy({ reason: 'no key can sign' })

/** Stands where no key can sign: it may be able to in a moment, or at another node. */
export const NO_SIGNER: TokenKey = {
  kid: '',
  algorithm: 'HS256',
  header: '',
  sign() {
    throw noSigner()
  },
  verify: () => false,
}

/** Explicit types of tokens (RFC 8725 section 3.11; `at+jwt`: RFC 9068 section 2.1). */
type TokenType = 'at+jwt' | 'rt+jwt' | 'dt+jwt'

/** Twice the same key with HS256. */
type KeyPair = { signWith: KeyObject; verifyWith: KeyObject }

/** A new key pair: P-256, Ed25519, or RSA of 3072 bits. */
export async function generateSigningKey(algorithm: AsymmetricAlgorithm): Promise<SigningKey> {
  const pair = await generateKeyPair(algorithm, { modulusLength: 3072, extractable: true })
  const [publicJwk, privateJwk] = await Promise.all([exportJWK(pair.publicKey), exportJWK(pair.privateKey)])
  return { kid: await calculateJwkThumbprint(publicJwk), algorithm, publicJwk, privateJwk }
}

/**
 * A private key that was made elsewhere: PKCS #8 as PEM (RFC 7468), or a JWK (RFC 7517).
 * @throws StartupError when it is none that fits the algorithm; without a word of what it is
 */
export async function readPrivateKey(text: string, algorithm: AsymmetricAlgorithm): Promise<SigningKey> {
  const key = parsePrivateKey(text)
  const publicKey = key && createPublicKey(key)
  if (!key || !publicKey || !ALGORITHMS[algorithm].fits(publicKey)) {
    throw new StartupError(`This is no private key for ${algorithm}, as PEM (PKCS #8) or as a JSON Web Key`)
  }
  const [publicJwk, privateJwk] = await Promise.all([exportJWK(publicKey), exportJWK(key)])
  return { kid: await calculateJwkThumbprint(publicJwk), algorithm, publicJwk, privateJwk }
}

function parsePrivateKey(text: string): KeyObject | undefined {
  try {
    return text.trimStart().startsWith('{')
      ? createPrivateKey({ key: JSON.parse(text), format: 'jwk' })
      : createPrivateKey(text)
  } catch {
    return undefined
  }
}

/**
 * The keys of every kind of token. Immutable: when keys change, make a new one.
 * @throws StartupError when a signing key is damaged
 */
export function createKeyring(input: KeyringInput): Keyring {
  const { access, jwks } = accessKeys(input)
  const refresh = derivedKeys(input, 'refresh-hs256', 'rt+jwt')
  return { access, refresh, device: derivedKeys(input, 'device-hs256', 'dt+jwt'), jwks }
}

/** The derived key is among them with HS256 only: an API may hold it, and must not become able to issue tokens. */
function accessKeys(input: KeyringInput): Pick<Keyring, 'access' | 'jwks'> {
  const { algorithm, signingKeys } = input
  const keys = signingKeys.map(importSigningKey)
  const accepted = keys.map(({ key }) => key)
  const jwks = { keys: keys.map(({ jwk }) => jwk) }
  if (algorithm === 'HS256') {
    const { current, byHeader } = derivedKeys(input, 'access-hs256', 'at+jwt')
    return { access: keySet(current, [...accepted, ...byHeader.values()]), jwks }
  }
  const current = accepted.findLast((key) => key.algorithm === algorithm) ?? NO_SIGNER
  return { access: keySet(current, accepted), jwks }
}

function derivedKeys(
  { secretKey, secretKeyPrevious }: KeyringInput,
  label: KeyLabel,
  typ: TokenType,
): KeySet {
  const current = hmacKey(deriveKey(secretKey, label), typ)
  const previous = secretKeyPrevious ? [hmacKey(deriveKey(secretKeyPrevious, label), typ)] : []
  return keySet(current, [...previous, current])
}

const keySet = (current: TokenKey, accepted: TokenKey[]): KeySet => ({
  current,
  byHeader: new Map(accepted.map((key) => [key.header, key])),
})

/** An HS256 key, whose `kid` is a MAC of a constant: it names the key and reveals nothing of it. */
function hmacKey(secret: Buffer, typ: TokenType): TokenKey {
  const kid = createHmac('sha256', secret).update('kid').digest().subarray(0, 12).toString('base64url')
  const key = createSecretKey(secret)
  return tokenKey('HS256', typ, kid, { signWith: key, verifyWith: key })
}

/**
 * The key as it signs and verifies, and as it is published.
 * @throws StartupError when it is damaged
 */
export function importSigningKey(stored: SigningKey): { key: TokenKey; jwk: JWK } {
  const { kid, algorithm } = stored
  const pair = importPair(stored)
  if (!ALGORITHMS[algorithm].fits(pair.verifyWith)) {
    throw new StartupError(`Signing key ${kid} does not fit ${algorithm}`)
  }
  return {
    key: tokenKey(algorithm, 'at+jwt', kid, pair),
    jwk: { ...pair.verifyWith.export({ format: 'jwk' }), kid, alg: algorithm, use: 'sig' },
  }
}

/** Both halves. A public half that is not the private one's is refused, because only the private one is sealed. */
function importPair({ kid, publicJwk, privateJwk }: SigningKey): KeyPair {
  try {
    const signWith = createPrivateKey({ key: privateJwk, format: 'jwk' })
    const verifyWith = createPublicKey({ key: publicJwk, format: 'jwk' })
    if (createPublicKey(signWith).equals(verifyWith)) return { signWith, verifyWith }
  } catch (cause) {
    throw new StartupError(`Signing key ${kid} cannot be read`, { cause })
  }
  throw new StartupError(`The halves of signing key ${kid} do not belong together`)
}

function tokenKey(alg: TokenAlgorithm, typ: TokenType, kid: string, pair: KeyPair): TokenKey {
  const { sign, verify, isOurs = () => true } = ALGORITHMS[alg]
  return {
    kid,
    algorithm: alg,
    header: Buffer.from(JSON.stringify({ alg, typ, kid })).toString('base64url'),
    sign: (input) => sign(input, pair.signWith).toString('base64url'),
    verify: (input, signature) => isOurs(signature) && verify(input, pair.verifyWith, signature),
  }
}
