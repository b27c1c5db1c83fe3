import { randomBytes } from 'node:crypto'
import { InvalidValue, type Kind } from './values.ts'

const MIN_BYTES = 32
const MIN_DISTINCT_CHARACTERS = 10

/** Parts of what people leave standing, in lower case and without separators. */
const PLACEHOLDERS = [
  'changeme',
  'changethis',
  'replaceme',
  'replacethis',
  'yoursecret',
  'supersecret',
  'mysecretkey',
  'placeholder',
  'examplesecret',
  'secretkeyhere',
  'djangoinsecure',
  // The FastAPI tutorial's.
  '09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7',
]

const expected = `at least ${MIN_BYTES} random bytes (postern secret generate makes them)`

/** 32 random bytes in base64url: 43 characters. */
export const generateSecretKey = (): string => randomBytes(MIN_BYTES).toString('base64url')

/** The secret that signs and seals from now on. */
export const secretKey: Kind<string> = {
  expected,
  parse(text) {
    refuseWeakSecret(text)
    const squeezed = text.toLowerCase().replace(/[^a-z0-9]/g, '')
    if (PLACEHOLDERS.some((placeholder) => squeezed.includes(placeholder))) {
      throw new InvalidValue('the value is a well-known placeholder')
    }
    return text
  },
}

/** A secret that is still accepted: a placeholder too, or nobody could move away from one. */
export const previousSecretKey: Kind<string> = {
  expected: `at least ${MIN_BYTES} bytes: the former SECRET_KEY, or the next one`,
  parse(text) {
    refuseWeakSecret(text)
    return text
  },
}

/** @throws InvalidValue that says nothing of the secret but how it fails */
export function refuseWeakSecret(secret: string): void {
  const bytes = Buffer.byteLength(secret)
  if (bytes < MIN_BYTES) throw new InvalidValue(`the value has ${bytes} bytes, too few`)
  if (secret.trim() !== secret) throw new InvalidValue('the value begins or ends with white space')
  if (/\p{Cc}/u.test(secret)) throw new InvalidValue('the value has control characters')
  if (new Set(secret).size < MIN_DISTINCT_CHARACTERS) {
    throw new InvalidValue(`the value has fewer than ${MIN_DISTINCT_CHARACTERS} different characters`)
  }
  if (isRepetition(secret)) throw new InvalidValue('the value is one pattern repeated')
}

function isRepetition(text: string): boolean {
  for (let period = 1; period <= text.length / 2; period++) {
    if (text.startsWith(text.slice(period))) return true
  }
  return false
}
