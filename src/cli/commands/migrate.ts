import { checkSettings, loadSettings } from '../../core/settings.ts'
import { pendingMigrations } from '../../database/migrate.ts'
import { migrations } from '../../database/migrations/index.ts'
import { FAILED } from '../failures.ts'
import { announce, isMissingFile, migrateAsOperator, withDatabase } from '../open.ts'
import { print, printJson, say } from '../output.ts'

export type MigrateOptions = { check?: boolean; json?: boolean }

/** Brings the tables up to date, or with `check` only tells what that would take: then pending work is a failure. */
export async function runMigrate({ check, json }: MigrateOptions): Promise<void> {
  // With the secret made before the database, a server does not take it for one that was lost.
  const settings = announce(check ? checkSettings() : loadSettings())
  const isNew = isMissingFile(settings.database)
  const names =
    check && isNew
      ? Object.keys(migrations)
      : await withDatabase(settings.database, async (database) =>
          check ? pendingMigrations(database) : (await migrateAsOperator(settings, database)).applied,
        )
  if (names.length === 0) say('The tables are up to date.')
  else say(check ? 'To be applied by `postern migrate`, or by the server when it starts:' : 'Applied:')
  if (json) await printJson(check ? { pending: names } : { applied: names })
  else await print(names.map((name) => `${name}\n`).join(''))
  if (check && names.length > 0) process.exitCode = FAILED
}
