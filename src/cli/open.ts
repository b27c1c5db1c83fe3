import { existsSync } from 'node:fs'
import type { OperatorContext } from '../context.ts'
import { systemClock } from '../core/clock.ts'
import { createPasswords } from '../core/security/passwords.ts'
import { findSecretKey } from '../core/settings/kept-secret-key.ts'
import { type CheckedSettings, checkSettings, loadSettings, type Settings } from '../core/settings.ts'
import { createDatabaseClock } from '../database/clock.ts'
import { type Database, openDatabase } from '../database/connection.ts'
import { migrate, pendingMigrations } from '../database/migrate.ts'
import { openOperatorAuditLog, recordMigrations } from '../features/audit/open-audit-log.ts'
import { createPwnedPasswords } from '../features/passwords/pwned-passwords.ts'
import { CommandFailure } from './failures.ts'
import { warn } from './output.ts'

type Work<T> = (operator: OperatorContext) => Promise<T>

/** Runs the work on tables that are brought up to date first; a new SQLite file is made together with its secret. */
export async function withMigratedTables<T>(work: Work<T>): Promise<T> {
  const checked = checkSettings()
  // With the secret made before the database, a server does not take it for one that was lost.
  const settings = announce(isMissingFile(checked.settings.database) ? loadSettings() : checked)
  return withDatabase(settings.database, async (database) => {
    const { context } = await migrateAsOperator(settings, database)
    return work(context)
  })
}

/**
 * Runs the work on the database as it is found; nothing is created.
 * @throws CommandFailure when its tables are missing or out of date
 */
export async function withTables<T>(work: Work<T>): Promise<T> {
  const settings = announce(checkSettings())
  refuseMissingFile(settings.database)
  return withDatabase(settings.database, async (database) => {
    if ((await pendingMigrations(database)).length > 0) {
      throw new CommandFailure('The tables are not up to date: run `postern migrate` first')
    }
    return work(await createOperatorContext(settings, database))
  })
}

/** Brings the tables up to date, and tells which migrations that took. */
export async function migrateAsOperator(
  settings: CheckedSettings,
  database: Database,
): Promise<{ applied: string[]; context: OperatorContext }> {
  const applied = await migrate(database)
  const context = await createOperatorContext(settings, database)
  await recordMigrations(context.db, context.clock, applied)
  return { applied, context }
}

/** Tells the warnings, and gives the settings. */
export function announce<T>({ settings, warnings }: { settings: T; warnings: string[] }): T {
  for (const warning of warnings) warn(warning)
  return settings
}

async function createOperatorContext(
  settings: CheckedSettings,
  database: Database,
): Promise<OperatorContext> {
  const { clock } = await createDatabaseClock(database, systemClock)
  const passwords = createPasswords({ concurrency: settings.hashConcurrency })
  const secretKey = findSecretKey(settings)
  const { secretKeyPrevious } = settings
  await openOperatorAuditLog(
    database.db,
    secretKey === undefined ? undefined : { secretKey, secretKeyPrevious },
  )
  const pwnedPasswords = createPwnedPasswords(settings.pwnedPasswordsUrl, { clock, warn })
  return { settings, database, db: database.db, clock, passwords, pwnedPasswords }
}

export async function withDatabase<T>(
  settings: Settings['database'],
  work: (database: Database) => Promise<T>,
): Promise<T> {
  const database = await openDatabase(settings)
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}

export const isMissingFile = (settings: Settings['database']): boolean =>
  settings.kind === 'sqlite' && !existsSync(settings.file)

function refuseMissingFile(settings: Settings['database']): void {
  if (settings.kind === 'sqlite' && isMissingFile(settings)) {
    throw new CommandFailure(
      `There is no database at ${settings.file} yet: run \`postern serve\` or \`postern migrate\``,
    )
  }
}
