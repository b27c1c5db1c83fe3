import { decodeBase64url } from './base64url.ts'
import { type AccessClaims, accessClaims, isAccessClaims } from './claims.ts'
import type { Keys } from './keys.ts'
import type { TokenKey } from './token-key.ts'

const MAX_TOKEN_CHARS = 4096

const encoder = new TextEncoder()
/** Fails at invalid UTF-8, and leaves a byte order mark where it is. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A token whose signature holds, and that is meant for us. Says nothing of whether it holds now. */
export type SignedToken = {
  claims: AccessClaims
  /** In seconds since the epoch. */
  notBefore: number
  key: TokenKey
}

/**
 * Reads an access token (RFC 7519 section 7.2, RFC 9068 section 4); undefined for any other text. Its header is compared, never
 * parsed, so nothing in it can choose a key, an algorithm or an extension (RFC 8725 sections 3.1 and 3.10); nothing of the
 * payload is looked at before the signature holds. No pattern is needed for the form: a header is one of those that are known,
 * and the other parts are decoded strictly, which finds a fourth part, too.
 * @throws TokenError `unavailable` when its key is not known, and the server does not say
 */
export async function readToken(
  token: string,
  { keys, issuer, audience }: { keys: Pick<Keys, 'find' | 'seek'>; issuer: string; audience: string },
): Promise<SignedToken | undefined> {
  if (typeof token !== 'string' || token.length > MAX_TOKEN_CHARS) return undefined
  const headerEnd = token.indexOf('.')
  const payloadEnd = token.lastIndexOf('.')
  const signature = decodeBase64url(token.slice(payloadEnd + 1))
  if (headerEnd >= payloadEnd || !signature) return undefined

  const header = token.slice(0, headerEnd)
  const key = keys.find(header) ?? (await keys.seek(header))
  const input = encoder.encode(token.slice(0, payloadEnd))
  if (!key || !(await key.verify(signature, input))) return undefined

  const payload = decodeJson(token.slice(headerEnd + 1, payloadEnd))
  if (!isAccessClaims(payload) || payload.iss !== issuer || payload.aud !== audience) return undefined
  return { claims: accessClaims(payload), notBefore: payload.nbf ?? 0, key }
}

/**
 * The value, if the text is the one way the server writes it: without duplicate names (RFC 7519 section 4), invalid UTF-8 or a
 * byte order mark (RFC 8725 section 3.7), numbers that lose their value, or surplus bits.
 */
function decodeJson(text: string): unknown {
  const bytes = decodeBase64url(text)
  if (!bytes) return undefined
  try {
    const json = decoder.decode(bytes)
    const value: unknown = JSON.parse(json)
    return JSON.stringify(value) === json ? value : undefined
  } catch {
    return undefined
  }
}
