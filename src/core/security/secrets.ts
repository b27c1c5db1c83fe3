import {
  createCipheriv,
  createDecipheriv,
  createHash,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'

/** What a derived key is for: each purpose has its own key, so none can stand in for another. */
export type KeyLabel =
  | 'access-hs256'
  | 'refresh-hs256'
  | 'device-hs256'
  | 'limits'
  | 'seal-private-keys'
  | 'seal-audit-key'
  | 'seal-outbox'

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const VERSION = 'v1.'

/**
 * The 256-bit key for one purpose (HKDF-SHA256, RFC 5869; no salt, info `postern/<label>`).
 * The secret key must have full entropy already: HKDF does not stretch passwords.
 */
export function deriveKey(secretKey: string, label: KeyLabel): Buffer {
  return Buffer.from(hkdfSync('sha256', secretKey, '', `postern/${label}`, KEY_BYTES))
}

/**
 * Encrypts text with AES-256-GCM under a fresh random nonce (NIST SP 800-38D section 8.2.2).
 * The context is authenticated but not stored: name the place the text belongs to, so that it opens nowhere else.
 * @returns `v1.` and the base64url of nonce, ciphertext and tag
 */
export function seal(key: Buffer, plaintext: string, context: string): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(Buffer.from(context))
  const ciphertext = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()])
  return encodeSealed(Buffer.concat([nonce, ciphertext, cipher.getAuthTag()]))
}

/** The sealed text; undefined when it was sealed with another key or context, or altered in any character. */
export function open(key: Buffer, sealed: string, context: string): string | undefined {
  const bytes = Buffer.from(sealed.slice(VERSION.length), 'base64url')
  if (bytes.length < NONCE_BYTES + TAG_BYTES || encodeSealed(bytes) !== sealed) return undefined

  const nonce = bytes.subarray(0, NONCE_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(context))
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
  const plaintext = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES))
  try {
    return Buffer.concat([plaintext, decipher.final()]).toString()
  } catch {
    return undefined
  }
}

/** What texts are sealed with, and those that were sealed while SECRET_KEY was another. */
export type Secrets = Readonly<{ secretKey: string; secretKeyPrevious: string | undefined }>

/** The same for whichever of the two secrets has sealed it, with the key for this purpose; undefined for neither. */
export function openWithEither(
  { secretKey, secretKeyPrevious }: Secrets,
  label: KeyLabel,
  sealed: string,
  context: string,
): { plaintext: string; isOfPrevious: boolean } | undefined {
  for (const secret of [secretKey, secretKeyPrevious]) {
    const plaintext = secret === undefined ? undefined : open(deriveKey(secret, label), sealed, context)
    if (plaintext !== undefined) return { plaintext, isOfPrevious: secret !== secretKey }
  }
  return undefined
}

/** Whether two texts are the same, in a time that tells nothing but whether their lengths are. */
export function isSameSecret(one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(other)]
  return left.length === right.length && timingSafeEqual(left, right)
}

const encodeSealed = (bytes: Buffer): string => VERSION + bytes.toString('base64url')

/** What is kept of a secret of 256 random bits: nobody finds the one that has this hash. */
export const hashSecret = (secret: string): string => createHash('sha256').update(secret).digest('base64url')
