import type { Database } from '../database/connection.ts'
import type { Counters, CountersOptions } from './counters.ts'
import { createMemoryCounters } from './memory.ts'
import { createPostgresCounters } from './postgres.ts'

export type OpenCounters = {
  /** Those that all nodes share, where there may be several. */
  shared: Counters
  /** Those of this process. */
  local: Counters
  close(): Promise<void>
}

/**
 * Counters in memory on SQLite, else in PostgreSQL, or wherever the URL says.
 * @param url of Redis or Valkey: `redis://` or, with TLS, `rediss://`
 */
export async function openCounters(
  url: string | undefined,
  { kind, db }: Database,
  options: CountersOptions,
): Promise<OpenCounters> {
  const { clock } = options
  const local = createMemoryCounters(clock)
  if (url !== undefined) {
    const { openRedisCounters } = await import('./redis.ts')
    const { close, ...shared } = await openRedisCounters(url, local, options)
    return { shared, local, close }
  }
  const shared = kind === 'postgres' ? createPostgresCounters(db, clock) : local
  return { shared, local, close: async () => {} }
}
