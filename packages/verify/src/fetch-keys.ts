import { type KeySet, readKeySet } from './key-set.ts'
import { ask, type Fetch } from './requests.ts'

const TIMEOUT_MS = 5_000
const USUAL_MAX_AGE_SECONDS = 300

export type FetchedKeys = {
  set: KeySet
  etag: string | undefined
  /** How long they may be kept. */
  maxAgeMs: number
}

/**
 * The published keys; what is known already is only confirmed where the server says that nothing has changed.
 * @param onSkip told of each key that should be usable, and is not
 * @throws RequestError, and whatever the runtime does
 */
export async function fetchKeys(
  { url, fetch }: { url: string; fetch: Fetch },
  known: { set: KeySet; etag: string | undefined },
  onSkip: (error: Error) => void,
): Promise<FetchedKeys> {
  const headers = known.etag === undefined ? {} : { 'if-none-match': known.etag }
  const reply = await ask(fetch, { url, headers }, TIMEOUT_MS)
  const isSame = reply.json === undefined
  const set = isSame ? known.set : await readKeySet(reply.json, { before: known.set, onSkip })
  if (set.size === 0)
    onSkip(new Error(`GET ${url}: no key for access tokens; those of ALGORITHM=HS256 have none`))
  return { set, etag: reply.headers.get('etag') ?? undefined, maxAgeMs: maxAgeMs(reply.headers) }
}

/** RFC 9111 sections 4.2.3 and 5.2.2.1, within reason: what a cache has kept for a while is as much older. */
function maxAgeMs(headers: Headers): number {
  const [, seconds = String(USUAL_MAX_AGE_SECONDS)] =
    /\bmax-age=(\d{1,9})/i.exec(headers.get('cache-control') ?? '') ?? []
  const [, age = '0'] = /^(\d{1,9})$/.exec(headers.get('age') ?? '') ?? []
  return Math.min(Math.max(Number(seconds) - Number(age), 30), 3600) * 1000
}
