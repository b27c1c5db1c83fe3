import type { Clock } from '../core/clock.ts'
import type { Database } from '../database/connection.ts'
import type { Counters } from './counters.ts'
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
  { clock, warn }: { clock: Clock; warn: (message: string) => void },
): Promise<OpenCounters> {
  const local = createMemoryCounters(clock)
  if (url !== undefined) {
    const { openRedisCounters } = await import('./redis.ts')
    const { close, ...shared } = openRedisCounters(url, local, { clock, warn })
    return { shared, local, close }
  }
  const shared = kind === 'postgres' ? createPostgresCounters(db, clock) : local
  return { shared, local, close: async () => {} }
}
