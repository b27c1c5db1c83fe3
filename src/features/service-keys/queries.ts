import type { Insertable, Selectable } from 'kysely'
import type { Timestamp } from '../../core/clock.ts'
import { prepareRow } from '../../database/compiled.ts'
import type { Db, ServiceKeysTable } from '../../database/tables.ts'

export type StoredServiceKey = Selectable<ServiceKeysTable>

export async function insertServiceKey(db: Db, key: Insertable<ServiceKeysTable>): Promise<void> {
  await db.insertInto('service_keys').values(key).execute()
}

/** In the order of their making. */
export function listServiceKeys(db: Db): Promise<StoredServiceKey[]> {
  return db.selectFrom('service_keys').selectAll().orderBy('id').execute()
}

/** One that was not revoked, by the hash of its secret. */
export const findServiceKey = prepareRow((db, key: { hash: string }) =>
  db
    .selectFrom('service_keys')
    .select(['id', 'scope', 'used_at'])
    .where('secret_hash', '=', key.hash)
    .where('revoked_at', 'is', null),
)

export async function markServiceKeyUsed(db: Db, id: string, now: Timestamp): Promise<void> {
  await db.updateTable('service_keys').set({ used_at: now }).where('id', '=', id).execute()
}

/** False when there is none of that id that could be revoked. */
export async function revokeServiceKey(db: Db, id: string, now: Timestamp): Promise<boolean> {
  const row = await db
    .updateTable('service_keys')
    .set({ revoked_at: now })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}
