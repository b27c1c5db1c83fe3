import { CompiledQuery } from 'kysely'
import type { Clock } from '../core/clock.ts'
import type { Database } from '../database/connection.ts'
import type { Counters } from './counters.ts'
import { createMemoryCounters } from './memory.ts'
import { createSharedCounters } from './shared.ts'

export type OpenCounters = {
  /** Those that all nodes share, where there may be several. */
  shared: Counters
  /** Those of this process. */
  local: Counters
  close(): Promise<void>
}

/** The library wants limits of its own; ours come with each call. */
const UNUSED = { points: 1, duration: 1 }
const CONNECT_TIMEOUT_MS = 2000
/** Each is a request that waits. */
const MAX_QUEUED = 1000

/**
 * Counters in memory on SQLite, else in PostgreSQL, or wherever the URL says. A store that is down keeps nothing from
 * starting: until it is there, the counters of this process count.
 * @param url of Redis or Valkey: `redis://` or, with TLS, `rediss://`
 */
export async function openCounters(
  url: string | undefined,
  database: Database,
  clock: Clock,
): Promise<OpenCounters> {
  const local = createMemoryCounters(clock)
  if (url !== undefined) return openRedisCounters(url, local, clock)
  const shared = database.kind === 'postgres' ? await postgresCounters(database, local, clock) : local
  return { shared, local, close: async () => {} }
}

async function postgresCounters({ db }: Database, local: Counters, clock: Clock): Promise<Counters> {
  const { RateLimiterPostgres } = await import('rate-limiter-flexible')
  const storeClient = {
    query: ({ text, values }: { text: string; values: unknown[] }) =>
      db.executeQuery(CompiledQuery.raw(text, values)),
  }
  const table = { tableName: 'counters', tableCreated: true, keyPrefix: '' }
  const store = new RateLimiterPostgres({ ...UNUSED, storeClient, storeType: 'client', ...table })
  return createSharedCounters(store, local, clock)
}

async function openRedisCounters(url: string, local: Counters, clock: Clock): Promise<OpenCounters> {
  const [{ RateLimiterRedis }, { createClient }] = await Promise.all([
    import('rate-limiter-flexible'),
    import('@redis/client'),
  ])
  const client = createClient({
    url,
    disableOfflineQueue: true,
    commandsQueueMaxLength: MAX_QUEUED,
    socket: { connectTimeout: CONNECT_TIMEOUT_MS },
  })
  // It connects again by itself; without a listener an error would end the process.
  client.on('error', () => {})
  client.connect().catch(() => {})
  const store = new RateLimiterRedis({
    ...UNUSED,
    storeClient: client,
    useRedisPackage: true,
    keyPrefix: 'postern',
  })
  const shared = createSharedCounters(store, local, clock)
  return { shared, local, close: async () => client.destroy() }
}
