import { type Clock, systemClock } from './core/clock.ts'
import { createMetrics, type Metrics } from './core/metrics.ts'
import { createKeyring, type Keyring } from './core/security/keyring.ts'
import { createPasswords, type Passwords } from './core/security/passwords.ts'
import { createTokens, type Tokens } from './core/security/tokens.ts'
import { type CheckedSettings, latestRetryMs, type Settings } from './core/settings.ts'
import type { Tracing } from './core/tracing.ts'
import { createDatabaseClock, type DatabaseClock } from './database/clock.ts'
import { type Database, openDatabase } from './database/connection.ts'
import { migrate } from './database/migrate.ts'
import type { Db } from './database/tables.ts'
import { loadSigningKeys } from './features/keys/signing-keys.ts'
import { observeHashes, observeStatements } from './observers.ts'

/** Everything a service may use that is not its input. Built once, at start. */
export type Context = Readonly<{
  settings: Settings
  database: Database
  db: Db
  clock: Clock
  databaseClock: DatabaseClock
  keyring: Keyring
  passwords: Passwords
  tokens: Tokens
  metrics: Metrics
  /** Undefined while tracing is off. */
  tracing: Tracing | undefined
}>

/** What an operator's command works with: no keys, so the server's secret is not needed. */
export type OperatorContext = Pick<Context, 'database' | 'db' | 'clock' | 'passwords'> &
  Readonly<{ settings: CheckedSettings }>

/**
 * Opens the database, brings its tables up to date, and loads the keys. Whoever calls closes `database`.
 * @param localClock what tells the time on this machine
 * @param tracing is the caller's to stop
 * @throws StartupError in one line for the operator
 */
export async function createContext(
  settings: Settings,
  localClock: Clock = systemClock,
  tracing?: Tracing,
): Promise<Context> {
  const metrics = createMetrics()
  const { kind } = settings.database
  const database = await openDatabase(
    settings.database,
    localClock,
    observeStatements(kind, metrics, tracing),
  )
  try {
    await migrate(database)
    const databaseClock = await createDatabaseClock(database, localClock)
    const { clock } = databaseClock
    const signingKeys = await loadSigningKeys(database, clock, settings)
    const keyring = createKeyring({ ...settings, signingKeys })
    const { publicUrl } = settings
    return {
      settings,
      database,
      db: database.db,
      clock,
      databaseClock,
      keyring,
      passwords: createPasswords({
        concurrency: settings.hashConcurrency,
        onHashed: observeHashes(metrics, tracing),
      }),
      tokens: createTokens({
        keyring,
        clock,
        issuer: publicUrl,
        audience: publicUrl,
        cacheBytes: settings.tokenCacheBytes,
        refreshLeewayMs: latestRetryMs(settings),
      }),
      metrics,
      tracing,
    }
  } catch (error) {
    await database.close()
    throw error
  }
}
