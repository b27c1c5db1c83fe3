import { randomBytes } from 'node:crypto'
import { type Kysely, sql } from 'kysely'

export async function up(db: Kysely<never>): Promise<void> {
  for (const column of ['signs_from', 'signs_until', 'revoked_at']) {
    await db.schema.alterTable('signing_keys').addColumn(column, 'bigint').execute()
  }
  // Any of the older ones may have signed until now: which it was, a setting said.
  await sql`update signing_keys set signs_from = created_at`.execute(db)
  await sql`update signing_keys set signs_until = ${Date.now()}
    where kid <> (select kid from signing_keys order by created_at desc, kid desc limit 1)`.execute(db)

  await db.schema
    .createTable('revocations')
    .addColumn('subject', 'text', (column) => column.primaryKey())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('seq', 'bigint', (column) => column.unique())
    .addColumn('mark', 'text')
    .addColumn('previous_mark', 'text')
    .addColumn('published_at', 'bigint')
    .execute()
  await sql`create index revocations_unpublished on revocations (subject) where seq is null`.execute(db)

  await db.schema
    .createTable('revocation_feed')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('seq', 'bigint', (column) => column.notNull())
    .addColumn('mark', 'text', (column) => column.notNull())
    .execute()
  const mark = randomBytes(8).toString('base64url')
  await sql`insert into revocation_feed (id, seq, mark) values (1, 0, ${mark})`.execute(db)

  await db.schema
    .createTable('service_keys')
    .addColumn('id', 'uuid', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('secret_hash', 'text', (column) => column.notNull().unique())
    .addColumn('scope', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('used_at', 'bigint')
    .addColumn('revoked_at', 'bigint')
    .execute()
}
