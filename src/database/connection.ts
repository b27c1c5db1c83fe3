import { type Dialect, Kysely, sql } from 'kysely'
import pg from 'pg'
import { type Clock, systemClock, type Timestamp } from '../core/clock.ts'
import { StartupError } from '../core/problems.ts'
import { boundIdle } from './bound-idle.ts'
import type { DatabaseLoad, ObserveStatement } from './meter.ts'
import {
  createPatientPostgresDialect,
  createPostgresDialect,
  type PostgresSettings,
} from './postgres-dialect.ts'
import { createSqliteDialect } from './sqlite-dialect.ts'
import { openSqliteFile } from './sqlite-file.ts'
import { createSqliteWriter } from './sqlite-writer.ts'
import type { Db, Tables } from './tables.ts'

const OLDEST_POSTGRES = 15
const STARTUP_LOCK_ID = 7_069_836
const STARTUP_LOCK_TIMEOUT = '60s'
const STARTUP_IDLE_TIMEOUT_MS = 60_000

export type DatabaseSettings = { kind: 'sqlite'; file: string } | ({ kind: 'postgres' } & PostgresSettings)

export type Database = {
  kind: 'sqlite' | 'postgres'
  db: Db
  /** The database's own time; on SQLite the local clock's. */
  now(): Promise<Timestamp>
  /** Where on PostgreSQL our tables are. */
  schema: string | undefined
  /** @throws StartupError when this user may not create tables there */
  requireCreate(): Promise<void>
  /** Waits for the transactions under way. */
  close(): Promise<void>
  /**
   * Runs the work in one transaction while no other node runs any so, however long it takes: for start-up and operators,
   * never for requests.
   * @throws Problem `database_unavailable` when the lock is not free within 5 seconds on SQLite, 60 on PostgreSQL
   */
  runAlone<T>(work: (db: Db) => Promise<T>): Promise<T>
  load(): DatabaseLoad
}

/**
 * Opens the database and proves that it works. `local` is what tells the time on SQLite.
 * @throws StartupError with one line for the operator, without the password
 */
export function openDatabase(
  settings: DatabaseSettings,
  local: Clock = systemClock,
  observe?: ObserveStatement,
): Promise<Database> {
  return settings.kind === 'sqlite'
    ? openSqlite(settings.file, local, observe)
    : openPostgres(settings, observe)
}

async function openSqlite(file: string, local: Clock, observe?: ObserveStatement): Promise<Database> {
  const { reader, writer: connection } = await openSqliteFile(file)
  const writer = createSqliteWriter(connection)
  const db: Db = new Kysely<Tables>({ dialect: createSqliteDialect(reader, writer, observe) })
  return {
    kind: 'sqlite',
    db,
    now: async () => local.now(),
    schema: undefined,
    requireCreate: async () => {},
    async close() {
      await db.destroy()
      await writer.close()
      reader.close()
      connection.close()
    },
    runAlone: (work) => db.transaction().execute(work),
    load: () => ({ waiting: writer.waiting() }),
  }
}

async function openPostgres(settings: PostgresSettings, observe?: ObserveStatement): Promise<Database> {
  const scope = {}
  const dialect = createPostgresDialect(settings, scope, observe)
  const db: Db = new Kysely<Tables>({ dialect })
  const schema = await checkPostgres(db, settings.url).catch(async (error) => {
    await db.destroy()
    throw error
  })
  return {
    kind: 'postgres',
    db,
    now: () => readPostgresTime(db),
    schema,
    requireCreate: () => requirePostgresCreate(db, settings.url),
    close: () => db.destroy(),
    runAlone: (work) => lockPostgres(createPatientPostgresDialect(settings, scope), work),
    load: dialect.load,
  }
}

async function requirePostgresCreate(db: Db, url: string): Promise<void> {
  const isAllowed = sql<boolean | null>`has_schema_privilege(current_schema(), 'CREATE')`.as('isAllowed')
  if ((await db.selectNoFrom(isAllowed).executeTakeFirstOrThrow()).isAllowed) return
  throw new StartupError(
    `${describePostgres(url)}: this user may not create tables there; GRANT CREATE ON SCHEMA to it, or run \`postern migrate\` as one that may`,
  )
}

async function readPostgresTime(db: Db): Promise<Timestamp> {
  const time = sql<Timestamp>`floor(extract(epoch from clock_timestamp()) * 1000)::int8`.as('time')
  return (await db.selectNoFrom(time).executeTakeFirstOrThrow()).time
}

/** @returns the schema where unqualified names lead */
async function checkPostgres(db: Db, url: string): Promise<string> {
  const version = sql<number>`current_setting('server_version_num')::int4 / 10000`.as('version')
  const schema = sql<string | null>`current_schema()`.as('schema')
  const encoding = sql<string>`current_setting('server_encoding')`.as('encoding')
  const found = await db
    .selectNoFrom([version, schema, encoding])
    .executeTakeFirstOrThrow()
    .catch((error) => {
      throw new StartupError(`${describePostgres(url)} cannot be used: ${reason(error)}`, { cause: error })
    })
  if (found.version < OLDEST_POSTGRES) {
    const needed = `Postern needs ${OLDEST_POSTGRES} or later`
    throw new StartupError(`${describePostgres(url)} is version ${found.version}: ${needed}`)
  }
  if (found.encoding !== 'UTF8') {
    throw new StartupError(`${describePostgres(url)} has encoding ${found.encoding}: Postern needs UTF8`)
  }
  if (found.schema === null) {
    throw new StartupError(`${describePostgres(url)}: no schema of this user's search_path exists`)
  }
  return found.schema
}

/** Names the server and database without user and password. */
function describePostgres(url: string): string {
  try {
    const { host, port, database } = new pg.Client({ connectionString: url })
    return `PostgreSQL database "${database}" at ${host}:${port}`
  } catch {
    return 'The PostgreSQL database'
  }
}

/** A refused connection to a name with several addresses is an AggregateError without a message. */
function reason(error: unknown): string {
  const root = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (!(root instanceof Error)) return String(root)
  const code = 'code' in root ? String(root.code) : root.name
  return (root.message || code).replaceAll(/\s*\n\s*/g, ' ')
}

/** One connection of its own: a migration may take longer than any request's query. */
async function lockPostgres<T>(dialect: Dialect, work: (db: Db) => Promise<T>): Promise<T> {
  const db: Db = new Kysely<Tables>({ dialect })
  try {
    return await db.transaction().execute(async (transaction) => {
      await boundIdle(transaction, STARTUP_IDLE_TIMEOUT_MS)
      await sql`select set_config('lock_timeout', ${STARTUP_LOCK_TIMEOUT}, true)`.execute(transaction)
      await sql`select pg_advisory_xact_lock(${sql.lit(STARTUP_LOCK_ID)})`.execute(transaction)
      return await work(transaction)
    })
  } finally {
    await db.destroy()
  }
}
