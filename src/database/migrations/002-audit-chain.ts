import { type Kysely, sql } from 'kysely'

export async function up(db: Kysely<never>): Promise<void> {
  const columns = {
    actor_id: 'uuid',
    actor_name: 'text',
    mac: 'text',
    seq: 'bigint',
    hash: 'text',
  } as const
  // Nodes of the version before, which still run, do not say who acted.
  await db.schema
    .alterTable('audit_events')
    .addColumn('actor', 'text', (column) => column.notNull().defaultTo('unknown'))
    .execute()
  for (const [name, type] of Object.entries(columns)) {
    await db.schema.alterTable('audit_events').addColumn(name, type).execute()
  }
  await db.schema
    .createIndex('audit_events_seq')
    .on('audit_events')
    .column('seq')
    .unique()
    .where(sql.ref('seq'), 'is not', null)
    .execute()
  await db.schema
    .createIndex('audit_events_unsealed')
    .on('audit_events')
    .column('id')
    .where(sql.ref('seq'), 'is', null)
    .execute()
  await db.schema.createIndex('audit_events_type').on('audit_events').columns(['type', 'id']).execute()
  await db.schema
    .createIndex('audit_events_actor_id')
    .on('audit_events')
    .columns(['actor_id', 'id'])
    .where(sql.ref('actor_id'), 'is not', null)
    .execute()

  await db.schema
    .createTable('audit_chain')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('sealed_key', 'text', (column) => column.notNull())
    .addColumn('pruned_seq', 'bigint', (column) => column.notNull())
    .addColumn('pruned_hash', 'text', (column) => column.notNull())
    .addColumn('seq', 'bigint', (column) => column.notNull())
    .addColumn('hash', 'text', (column) => column.notNull())
    .addColumn('sealed_at', 'bigint', (column) => column.notNull())
    .addColumn('mac', 'text', (column) => column.notNull())
    .execute()
}
