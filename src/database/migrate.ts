import { sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import { StartupError } from '../core/problems.ts'
import type { Database } from './connection.ts'
import { migrations } from './migrations/index.ts'
import type { Db } from './tables.ts'

const BOOKKEEPING = 'kysely_migration'

/**
 * Brings the tables up to this version, whichever nodes try at once: all migrations in one transaction.
 * @returns the names of those applied now
 * @throws StartupError when a newer version or another application has been here, or this user may not create tables;
 *   Problem `database_unavailable`
 */
export async function migrate(database: Database): Promise<string[]> {
  // Most starts find nothing to do, and need not wait for whoever is writing.
  const found = await pendingMigrations(database)
  if (found.length === 0) return found
  await database.requireCreate()
  return database.runAlone(async (db) => {
    const pending = await findPending(database, db)
    if (pending.length === 0) return pending
    if (pending.length === Object.keys(migrations).length) await refuseForeignTables(database, db)
    const { error } = await createMigrator(database, db).migrateToLatest()
    if (error) throw error
    return pending
  })
}

/**
 * The names of the migrations that `migrate` would apply. Changes nothing.
 * @throws StartupError when a newer version has been here; Problem `database_unavailable`
 */
export const pendingMigrations = (database: Pick<Database, 'db' | 'schema'>): Promise<string[]> =>
  findPending(database, database.db)

/** Names the schema, or a bookkeeping table in another application's would be taken for ours. */
const createMigrator = ({ schema }: Database, db: Db): Migrator =>
  new Migrator({
    db,
    provider: { getMigrations: async () => migrations },
    ...(schema !== undefined && { migrationTableSchema: schema }),
  })

async function findPending(database: Pick<Database, 'schema'>, db: Db): Promise<string[]> {
  const applied = new Set(await findApplied(database, db))
  const unknown = [...applied].filter((name) => !Object.hasOwn(migrations, name)).sort()
  if (unknown.length > 0) {
    const names = unknown.join(', ')
    throw new StartupError(
      `The database was migrated by a newer version of Postern (${names}): update this node`,
    )
  }
  return Object.keys(migrations)
    .filter((name) => !applied.has(name))
    .sort()
}

/**
 * The FastAPI original keeps its users in a table of the same name, at the same DATABASE_URL.
 * @throws StartupError when it has been there; to be asked before there are tables of ours
 */
export async function refuseForeignTables(database: Pick<Database, 'schema'>, db: Db): Promise<void> {
  if (!(await hasTable(database, db, 'users'))) return
  throw new StartupError(
    'The database has a table "users" of another application: set DATABASE_URL to a database of its own, and bring its users in with `postern users import`',
  )
}

async function findApplied(database: Pick<Database, 'schema'>, db: Db): Promise<string[]> {
  if (!(await hasTable(database, db, BOOKKEEPING))) return []
  const rows = await db
    .selectFrom(sql<{ name: string }>`${sql.table(BOOKKEEPING)}`.as('applied'))
    .select('name')
    .execute()
  return rows.map(({ name }) => name)
}

async function hasTable({ schema }: Pick<Database, 'schema'>, db: Db, name: string): Promise<boolean> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  return tables.some((table) => table.name === name && table.schema === schema)
}
