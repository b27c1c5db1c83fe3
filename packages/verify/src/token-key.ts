import { findAlgorithm, modulusBits } from './algorithms.ts'
import { encodeBase64url } from './base64url.ts'
import { isName } from './claims.ts'

/** A published key, bound to one algorithm. */
export type TokenKey = {
  kid: string
  /** The first part of every token of this key: no other header is ever accepted. */
  header: string
  /** The JWK as it was published: the same text is the same key. */
  source: string
  /** Never throws: a signature of the wrong length or form is a wrong signature. */
  verify(signature: Uint8Array<ArrayBuffer>, input: Uint8Array<ArrayBuffer>): Promise<boolean>
}

type Jwk = Readonly<Record<string, unknown>>

/**
 * A key of a JWK set; undefined for one that is not for signatures, or of an algorithm not known here.
 * @throws when it does not fit its algorithm, or the runtime lacks that
 */
export async function readTokenKey(jwk: Jwk): Promise<TokenKey | undefined> {
  const { kid, alg, use, kty, crv } = jwk
  const algorithm = findAlgorithm(alg)
  if (!algorithm || use !== 'sig' || !isName(kid)) return undefined
  const { type, members, importing, verifying, hasForm } = algorithm
  if (kty !== type.kty || (type.crv !== undefined && crv !== type.crv))
    throw new Error(`it does not fit ${alg}`)

  const values = Object.fromEntries(members.map((name) => [name, jwk[name]]))
  const { subtle } = globalThis.crypto
  const key = await subtle.importKey('jwk', { ...type, ...values }, importing, false, ['verify'])
  if (modulusBits(key) < 2048) throw new Error('it is shorter than 2048 bits (RFC 7518 section 3.3)')
  return {
    kid,
    header: encodeBase64url(JSON.stringify({ alg, typ: 'at+jwt', kid })),
    source: JSON.stringify(jwk),
    async verify(signature, input) {
      try {
        return hasForm(signature, key) && (await subtle.verify(verifying, key, signature, input))
      } catch {
        return false
      }
    },
  }
}
