import type { KeySet, TokenKey } from './keyring.ts'

const MAX_TOKEN_CHARS = 4096

/** A compact JWS (RFC 7515 section 7.1) of the claims: the same claims in the same order give the same payload. */
export function signJws(key: TokenKey, claims: object): string {
  const input = `${key.header}.${encodeJson(claims)}`
  return `${input}.${key.sign(input)}`
}

/**
 * The payload of a compact JWS of ours; undefined for any other text. Never throws.
 * The header is compared, never parsed, so nothing in it can choose a key, an algorithm or an extension
 * (RFC 8725 sections 3.1 and 3.10); nothing of the payload is looked at before the signature holds.
 */
export function verifyJws(keys: KeySet, token: string): unknown {
  if (!isCompact(token)) return undefined
  const headerEnd = token.indexOf('.')
  const payloadEnd = token.lastIndexOf('.')

  const key = keys.byHeader.get(token.slice(0, headerEnd))
  const signature = decodeBase64url(token.slice(payloadEnd + 1))
  if (!key || !signature || !key.verify(token.slice(0, payloadEnd), signature)) return undefined
  return decodeJson(token.slice(headerEnd + 1, payloadEnd))
}

/** Whether a text has the form and size of a token. Nothing outside the alphabet is skipped (RFC 7515 section 2). */
const isCompact = (token: string): boolean =>
  token.length <= MAX_TOKEN_CHARS && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)

/** The bytes, if the text is the one way to write them: decoders ignore surplus bits and lone characters. */
function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

const encodeJson = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/**
 * The value, if the text is the one way `signJws` writes it: without duplicate names (RFC 7519 section 4), invalid
 * UTF-8 or a byte order mark (RFC 8725 section 3.7), numbers that lose their value, or surplus bits.
 */
function decodeJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    return encodeJson(value) === text ? value : undefined
  } catch {
    return undefined
  }
}
