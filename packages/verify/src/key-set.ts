import { RequestError } from './requests.ts'
import { readTokenKey, type TokenKey } from './token-key.ts'

/** Keys by the one header their tokens have. */
export type KeySet = ReadonlyMap<string, TokenKey>

/** More than this are not looked at. */
const MOST_KEYS = 100

/**
 * The keys of a JWK set (RFC 7517 section 5) that can verify access tokens. One that was in the set before is the same
 * object again.
 * @param onSkip told of each key that should be usable, and is not
 * @throws RequestError when this is no JWK set
 */
export async function readKeySet(
  json: unknown,
  { before, onSkip }: { before: KeySet; onSkip: (error: Error) => void },
): Promise<KeySet> {
  const known = new Map([...before.values()].map((key) => [key.source, key]))
  const set = new Map<string, TokenKey>()
  for (const jwk of listKeys(json)) {
    const key = known.get(JSON.stringify(jwk)) ?? (await readOrSkip(jwk, onSkip))
    if (key) set.set(key.header, key)
  }
  return set
}

function listKeys(json: unknown): Readonly<Record<string, unknown>>[] {
  const keys: unknown = isObject(json) ? json.keys : undefined
  if (!Array.isArray(keys)) throw new RequestError('the reply is no JWK set')
  return keys.slice(0, MOST_KEYS).filter(isObject)
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

async function readOrSkip(
  jwk: Readonly<Record<string, unknown>>,
  onSkip: (error: Error) => void,
): Promise<TokenKey | undefined> {
  try {
    return await readTokenKey(jwk)
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'it cannot be read'
    onSkip(new Error(`The published key ${String(jwk.kid)} is not used: ${reason}`))
    return undefined
  }
}
