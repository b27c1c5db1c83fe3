import { type Kysely, PostgresAdapter, sql } from 'kysely'

export async function up(db: Kysely<never>): Promise<void> {
  await db.schema
    .createTable('sign_in_failures')
    .addColumn('key', 'text', (column) => column.primaryKey())
    .addColumn('failures', 'integer', (column) => column.notNull())
    .addColumn('next_try_at', 'bigint', (column) => column.notNull())
    .addColumn('failed_at', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createIndex('sign_in_failures_failed_at')
    .on('sign_in_failures')
    .column('failed_at')
    .execute()

  // In memory on SQLite. On PostgreSQL for all nodes; counters need not survive a crash, and so are written once.
  if (!(db.getExecutor().adapter instanceof PostgresAdapter)) return
  await sql`create unlogged table counters (key text primary key, count bigint not null, ends_at bigint not null)`.execute(
    db,
  )
  await db.schema.createIndex('counters_ends_at').on('counters').column('ends_at').execute()
}
