import { existsSync } from 'node:fs'
import type { Clock } from '../core/clock.ts'
import {
  type CheckedSettings,
  type InspectedSettings,
  inspectSettings,
  type SettingsOptions,
} from '../core/settings.ts'
import { pendingMigrations } from '../database/migrate.ts'
import { migrations } from '../database/migrations/index.ts'
import { openDatabaseToRead, type ReadableDatabase } from '../database/read-only.ts'
import { NotLookedAt } from './check.ts'

/** What the checks look at. What takes time is done when the first of them asks, and once. */
export type Scene = Readonly<{
  clock: Clock
  inspected: InspectedSettings
  /** @throws NotLookedAt when they are invalid */
  settings(): CheckedSettings
  /**
   * Undefined where it is an SQLite file that is not there yet.
   * @throws StartupError when it cannot be used, NotLookedAt
   */
  openDatabase(): Promise<ReadableDatabase | undefined>
  /**
   * The same, for those to whom it does not matter why it cannot be used.
   * @throws NotLookedAt
   */
  readDatabase(): Promise<ReadableDatabase | undefined>
  /**
   * The database, once there are tables in it; undefined before.
   * @throws NotLookedAt when it cannot be used, or its tables are not those of this version
   */
  openTables(): Promise<ReadableDatabase | undefined>
  close(): Promise<void>
}>

export function createScene(options: SettingsOptions, clock: Clock): Scene {
  const inspected = inspectSettings(options)
  const settings = () => {
    if (!inspected.settings) throw new NotLookedAt('the settings are not valid')
    return inspected.settings
  }
  let opening: Promise<ReadableDatabase | undefined> | undefined
  let findingTables: Promise<ReadableDatabase | undefined> | undefined
  const openDatabase = () => {
    const { database } = settings()
    opening ??= openExisting(database, clock)
    return opening
  }
  return {
    clock,
    inspected,
    settings,
    openDatabase,
    async readDatabase() {
      settings()
      return openDatabase().catch(notLookedAt)
    },
    openTables() {
      settings()
      findingTables ??= openDatabase().catch(notLookedAt).then(withTables)
      return findingTables
    },
    async close() {
      const database = await opening?.catch(() => undefined)
      await database?.close()
    },
  }
}

async function openExisting(
  settings: CheckedSettings['database'],
  clock: Clock,
): Promise<ReadableDatabase | undefined> {
  if (settings.kind === 'sqlite' && !existsSync(settings.file)) return undefined
  return openDatabaseToRead(settings, clock)
}

async function withTables(database: ReadableDatabase | undefined): Promise<ReadableDatabase | undefined> {
  if (!database) return undefined
  const pending = await pendingMigrations(database).catch(notOfThisVersion)
  if (pending.length === Object.keys(migrations).length) return undefined
  return pending.length === 0 ? database : notOfThisVersion()
}

function notOfThisVersion(): never {
  throw new NotLookedAt('the tables are not those of this version')
}

/** Why it cannot is told once, by the group `database`. */
function notLookedAt(): never {
  throw new NotLookedAt('the database cannot be used')
}
