import { RequestError } from './requests.ts'
import { within } from './timing.ts'

const TIMEOUT_MS = 5_000

/** The service key, or what returns the current one: it is asked for each connection. */
export type ServiceKey = string | (() => string | Promise<string>)

/**
 * The header that carries the key.
 * @throws RequestError which says nothing of it
 */
export async function authorization(key: ServiceKey): Promise<{ authorization: string }> {
  const text = await readKey(key)
  // A runtime would quote it in its error.
  if (!isServiceKey(text)) throw new RequestError('revocations.key gave nothing that can be sent as a key')
  return { authorization: `Bearer ${text}` }
}

async function readKey(key: ServiceKey): Promise<unknown> {
  if (typeof key === 'string') return key
  try {
    return await within(Promise.resolve(key()), TIMEOUT_MS, () => new Error())
  } catch {
    throw new RequestError('revocations.key threw an error, or took longer than 5 seconds')
  }
}

/** Whether it can stand in a header. */
export const isServiceKey = (text: unknown): text is string =>
  typeof text === 'string' && /^[\x21-\x7e]+$/.test(text)
