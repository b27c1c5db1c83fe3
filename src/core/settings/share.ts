import type { Settings } from '../settings.ts'

const MEBIBYTE = 2 ** 20

/**
 * What each of a node's workers may use. Together they keep to what the node may use, except that none can do with
 * less than one of anything, and that hashing is rounded up, so that no core is left idle.
 */
export function shareOf(settings: Settings): Settings {
  const { workers, hashConcurrency, tokenCacheBytes, database, metrics } = settings
  return Object.freeze({
    ...settings,
    workers: 1,
    hashConcurrency: Math.ceil(hashConcurrency / workers),
    tokenCacheBytes: Math.max(MEBIBYTE, Math.floor(tokenCacheBytes / workers)),
    database: Object.freeze(
      database.kind === 'postgres'
        ? { ...database, poolSize: Math.max(1, Math.floor(database.poolSize / workers)) }
        : database,
    ),
    metrics: metrics && Object.freeze({ at: 'primary' as const }),
  })
}
