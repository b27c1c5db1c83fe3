import { createClient } from '@redis/client'
import { SECOND } from '../core/clock.ts'

const TIME_OUT_MS = 3 * SECOND

/** Undefined where it is not told: the user may be forbidden to ask. */
export type RedisFacts = {
  evictionPolicy: string | undefined
  /** 0 for no limit, with which nothing is evicted. */
  maxMemoryBytes: number | undefined
}

/**
 * Looks at a Redis or Valkey, and writes nothing.
 * @returns a code that says why it cannot be used, in the other case
 */
export async function inspectRedis(url: string): Promise<RedisFacts | string> {
  const client = createClient({
    url,
    socket: { connectTimeout: TIME_OUT_MS, socketTimeout: TIME_OUT_MS, reconnectStrategy: false },
  })
  // Without a listener an error would end the process; it fails the command as well.
  client.on('error', () => {})
  try {
    await client.connect()
    const info = await client.info('memory').catch(ignoreForbidden)
    const maxMemory = readField(info, 'maxmemory')
    return {
      evictionPolicy: readField(info, 'maxmemory_policy'),
      maxMemoryBytes: maxMemory === undefined ? undefined : Number(maxMemory),
    }
  } catch (error) {
    return codeOf(error)
  } finally {
    if (client.isOpen) client.destroy()
  }
}

const readField = (info: string, name: string): string | undefined =>
  new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]

function ignoreForbidden(error: unknown): string {
  if (codeOf(error) === 'NOPERM') return ''
  throw error
}

/** The code of an error of the system, or the word with which one of Redis begins: never what was sent. */
function codeOf(error: unknown): string {
  const { code, message, name } = error as NodeJS.ErrnoException
  return code ?? /^[A-Z]+(?= )/.exec(message)?.[0] ?? name
}
