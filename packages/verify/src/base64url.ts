const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
/** Of what is not in the alphabet. */
const NONE = 64

/** What six bits each ASCII character stands for. */
const VALUES = new Uint8Array(128).fill(NONE)
for (let value = 0; value < ALPHABET.length; value += 1) VALUES[ALPHABET.charCodeAt(value)] = value

/** The bytes, if the text is the one way to write them (RFC 4648 section 5): no padding, no surplus bits, nothing skipped. */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 === 1) return undefined
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4))
  let length = 0
  let pending = 0
  let bits = 0
  for (let at = 0; at < text.length; at += 1) {
    const value = VALUES[text.charCodeAt(at)] ?? NONE
    if (value === NONE) return undefined
    pending = (pending << 6) | value
    bits += 6
    if (bits < 8) continue
    bits -= 8
    bytes[length] = pending >> bits
    length += 1
    pending &= (1 << bits) - 1
  }
  return pending === 0 ? bytes : undefined
}

/** A text in UTF-8 as base64url. */
export function encodeBase64url(text: string): string {
  const binary = Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join('')
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}
