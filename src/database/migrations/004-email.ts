import { type Kysely, sql } from 'kysely'

export async function up(db: Kysely<never>): Promise<void> {
  await db.schema.alterTable('users').addColumn('locale', 'text').execute()

  await db.schema
    .createTable('registrations')
    .addColumn('id', 'uuid', (column) => column.primaryKey())
    .addColumn('username', 'text', (column) => column.notNull())
    .addColumn('username_key', 'text', (column) => column.notNull().unique())
    .addColumn('email', 'text', (column) => column.notNull())
    .addColumn('email_key', 'text', (column) => column.notNull())
    .addColumn('password_hash', 'text', (column) => column.notNull())
    .addColumn('locale', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createIndex('registrations_email_key')
    .on('registrations')
    .columns(['email_key', 'created_at'])
    .execute()
  await db.schema.createIndex('registrations_expires_at').on('registrations').column('expires_at').execute()

  await db.schema
    .createTable('email_tokens')
    .addColumn('id', 'uuid', (column) => column.primaryKey())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('slot', 'text', (column) => column.notNull().unique())
    .addColumn('address_key', 'text', (column) => column.notNull())
    .addColumn('token_hash', 'text', (column) => column.notNull().unique())
    .addColumn('code_mac', 'text')
    .addColumn('code_failures', 'integer', (column) => column.notNull().defaultTo(0))
    .addColumn('user_id', 'uuid', (column) => column.references('users.id').onDelete('cascade'))
    .addColumn('registration_id', 'uuid', (column) =>
      column.references('registrations.id').onDelete('cascade'),
    )
    .addColumn('email', 'text', (column) => column.notNull())
    .addColumn('binding_hash', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .addColumn('consumed_at', 'bigint')
    .execute()
  // However many were sent to an address: one code of a kind is good, so that looking for it takes the same time.
  await sql`create index email_tokens_code on email_tokens (address_key) where code_mac is not null`.execute(
    db,
  )
  await sql`create index email_tokens_undo on email_tokens (address_key) where kind = 'undo_email_change'`.execute(
    db,
  )
  for (const column of ['user_id', 'registration_id', 'expires_at']) {
    await db.schema.createIndex(`email_tokens_${column}`).on('email_tokens').column(column).execute()
  }

  await db.schema
    .createTable('outbox')
    .addColumn('id', 'uuid', (column) => column.primaryKey())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('user_id', 'uuid')
    .addColumn('recipient', 'text')
    .addColumn('locale', 'text', (column) => column.notNull())
    .addColumn('sealed_data', 'text')
    .addColumn('attempts', 'integer', (column) => column.notNull().defaultTo(0))
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('next_attempt_at', 'bigint', (column) => column.notNull())
    .addColumn('gave_up_at', 'bigint')
    .addColumn('last_error', 'text')
    .execute()
  // Those that wait: what was given up leaves it.
  await sql`create index outbox_next_attempt_at on outbox (next_attempt_at) where gave_up_at is null`.execute(
    db,
  )
  await sql`create index outbox_gave_up_at on outbox (gave_up_at) where gave_up_at is not null`.execute(db)
}
