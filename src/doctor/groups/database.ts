import { Problem, StartupError } from '../../core/problems.ts'
import { pendingMigrations, refuseForeignTables } from '../../database/migrate.ts'
import { migrations } from '../../database/migrations/index.ts'
import type { ReadableDatabase } from '../../database/read-only.ts'
import { byGathering, defineGroup, Unusable } from '../check.ts'
import type { Scene } from '../scene.ts'

export type DatabaseFacts = Readonly<{
  pending: readonly string[]
  /** Whether there are no tables of ours yet. */
  isNew: boolean
  /** Why the tables are not for this version to work with, or those that are missing not for this user to make. */
  newer: string | undefined
  foreign: string | undefined
  forbidden: string | undefined
}>

async function gather(scene: Scene): Promise<DatabaseFacts> {
  let database: ReadableDatabase | undefined
  const failure = await failureOf(async () => {
    database = await scene.openDatabase()
  })
  if (failure !== undefined) throw new Unusable('database.usable', failure)
  if (!database) throw new Unusable('database.new', 'There is no database yet')
  return inspectTables(database)
}

async function inspectTables(database: ReadableDatabase): Promise<DatabaseFacts> {
  let pending: string[] = []
  const newer = await failureOf(async () => {
    pending = await pendingMigrations(database)
  })
  const isNew = pending.length === Object.keys(migrations).length
  return {
    pending,
    isNew,
    newer,
    foreign: isNew ? await failureOf(() => refuseForeignTables(database, database.db)) : undefined,
    forbidden: pending.length > 0 ? await failureOf(() => database.requireCreate()) : undefined,
  }
}

/** What our own errors say, which hold no secret. */
async function failureOf(work: () => Promise<void>): Promise<string | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (error instanceof StartupError || error instanceof Problem) return error.message
    throw error
  }
}

export const database = defineGroup('database', gather, [
  byGathering({
    id: 'database.usable',
    level: 'error',
    why: 'Without it nothing can be answered, and a server does not start',
    mend: 'See that it runs, and that DATABASE_URL says where, as whom and with which password',
  }),
  {
    id: 'database.new',
    level: 'info',
    why: 'Its tables are made when the server starts for the first time, so there is nothing to look at yet',
    mend: 'Start the server, or run `postern migrate`; then run `postern doctor` again',
    find: ({ isNew, foreign }) => isNew && foreign === undefined && 'The tables of Postern are not there yet',
  },
  {
    id: 'database.foreign',
    level: 'error',
    why: 'The server refuses to start, so that nothing of the other application is damaged',
    mend: 'Set DATABASE_URL to a database of its own; `postern users import` brings the users in',
    find: ({ foreign }) => foreign,
  },
  {
    id: 'database.migrations',
    level: 'warning',
    why: 'The next start changes the tables, and nodes of the version before are then not ready any more',
    mend: 'Take a backup, and run `postern migrate` or restart the nodes',
    find: ({ isNew, pending }) => !isNew && pending.length > 0 && `To be applied: ${pending.join(', ')}`,
  },
  {
    id: 'database.newer',
    level: 'error',
    why: 'This version does not start on it; there is no way back but a backup',
    mend: 'Update this node',
    find: ({ newer }) => newer,
  },
  {
    id: 'database.create_tables',
    level: 'error',
    why: 'The tables that are missing cannot be made, so the server does not start',
    mend: 'GRANT CREATE ON SCHEMA to the role, or run `postern migrate` as one that may',
    find: ({ forbidden }) => forbidden,
  },
])
