import { type Clock, systemClock } from './core/clock.ts'
import { createMetrics, type Metrics } from './core/metrics.ts'
import { createPasswords, type Passwords } from './core/security/passwords.ts'
import { createPseudonyms, type Pseudonym } from './core/security/pseudonyms.ts'
import { createTokens, type Tokens } from './core/security/tokens.ts'
import { type CheckedSettings, latestRetryMs, type Settings } from './core/settings.ts'
import type { Tracing } from './core/tracing.ts'
import { type OpenCounters, openCounters } from './counters/open.ts'
import { createDatabaseClock, type DatabaseClock } from './database/clock.ts'
import { type Database, openDatabase } from './database/connection.ts'
import { migrate } from './database/migrate.ts'
import type { Db } from './database/tables.ts'
import { openAuditLog, recordMigrations } from './features/audit/open-audit-log.ts'
import { type Captcha, createCaptcha } from './features/auth/captcha.ts'
import type { Mailer } from './features/email/letter.ts'
import { createMailer } from './features/email/mailer.ts'
import { createOutbox, type Outbox } from './features/email/outbox.ts'
import { loadTemplates, type Templates } from './features/email/templates.ts'
import { type LiveKeyring, openKeyring } from './features/keys/live-keyring.ts'
import { createMailbox, type Mailbox } from './features/mailbox/mailbox.ts'
import { createPwnedPasswords, type PwnedPasswords } from './features/passwords/pwned-passwords.ts'
import { type Feed, openFeed } from './features/revocation/feed.ts'
import { observeHashes, observeStatements } from './monitoring/observers.ts'

/** Everything a service may use that is not its input. Built once, at start. */
export type Context = Readonly<{
  settings: Settings
  database: Database
  db: Db
  clock: Clock
  databaseClock: DatabaseClock
  keyring: LiveKeyring
  passwords: Passwords
  /** Undefined where PWNED_PASSWORDS_URL is unset. */
  pwnedPasswords: PwnedPasswords | undefined
  /** Undefined where no captcha is set up. */
  captcha: Captcha | undefined
  tokens: Tokens
  /** Of the chain of audit events. */
  chainKey: Buffer
  metrics: Metrics
  /** Undefined while tracing is off. */
  tracing: Tracing | undefined
  counters: OpenCounters
  /** Of revocations, as this process knows it. */
  feed: Feed
  pseudonym: Pseudonym
  /** What mails and pages are made from. */
  templates: Templates
  /** Of mails that wait to be sent. */
  outbox: Outbox
  /** What they leave by. */
  mailer: Mailer
  /** Where a developer reads them; undefined anywhere else. */
  mailbox: Mailbox | undefined
  /** Closes what the context has opened. */
  close(): Promise<void>
}>

/** What an operator's command works with: no keys, so the server's secret is not needed. */
export type OperatorContext = Pick<Context, 'database' | 'db' | 'clock' | 'passwords' | 'pwnedPasswords'> &
  Readonly<{ settings: CheckedSettings }>

/** Tells the operator what goes on without something that is down. */
export type Warn = (message: string) => void

const emitWarning: Warn = (message) => process.emitWarning(message)

/**
 * Opens the database, brings its tables up to date, and loads the keys. Whoever calls closes it.
 * @param localClock what tells the time on this machine
 * @param warn where that is told, once, when it happens
 * @param tracing is the caller's to stop
 * @throws StartupError in one line for the operator
 */
export async function createContext(
  settings: Settings,
  localClock: Clock = systemClock,
  warn: Warn = emitWarning,
  tracing?: Tracing,
): Promise<Context> {
  const templates = await loadTemplates(settings)
  const metrics = createMetrics()
  const { kind } = settings.database
  const observe = observeStatements(kind, metrics, tracing)
  const database = await openDatabase(settings.database, localClock, observe)
  try {
    const migrated = await migrate(database)
    const databaseClock = await createDatabaseClock(database, localClock)
    const { clock } = databaseClock
    const chainKey = await openAuditLog(database.db, clock, settings)
    await recordMigrations(database.db, clock, migrated)
    const keyring = await openKeyring({ database, clock }, settings)
    const { publicUrl } = settings
    const mailbox = settings.email.transport.kind === 'mailbox' ? createMailbox() : undefined
    const mailer = createMailer(settings.email, mailbox)
    const onFallback = metrics.countedAlone
    const counters = await openCounters(settings.rateLimitUrl, database, { clock, warn, onFallback })
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
      pwnedPasswords: createPwnedPasswords(settings.pwnedPasswordsUrl, { clock, warn }),
      captcha: createCaptcha(settings.captcha, { clock, warn }),
      tokens: createTokens({
        keyring: keyring.current,
        clock,
        issuer: publicUrl,
        audience: publicUrl,
        cacheBytes: settings.tokenCacheBytes,
        refreshLeewayMs: latestRetryMs(settings),
      }),
      chainKey,
      metrics,
      tracing,
      counters,
      feed: await openFeed({ db: database.db, clock }),
      pseudonym: createPseudonyms(settings.secretKey),
      templates,
      outbox: createOutbox(settings),
      mailer,
      mailbox,
      async close() {
        mailer.close()
        await counters.close()
        await database.close()
      },
    }
  } catch (error) {
    await database.close()
    throw error
  }
}
