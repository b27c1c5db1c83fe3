import type { Insertable, Selectable, Updateable } from 'kysely'
import type { Db, SigningKeysTable } from '../../database/tables.ts'

export type StoredSigningKey = Selectable<SigningKeysTable>

/** Every signing key, newest last. */
export function listSigningKeys(db: Db): Promise<StoredSigningKey[]> {
  return db.selectFrom('signing_keys').selectAll().orderBy('created_at').orderBy('kid').execute()
}

export async function insertSigningKey(db: Db, key: Insertable<SigningKeysTable>): Promise<void> {
  await db.insertInto('signing_keys').values(key).execute()
}

export async function updateSigningKey(
  db: Db,
  kid: string,
  changes: Updateable<SigningKeysTable>,
): Promise<void> {
  await db.updateTable('signing_keys').set(changes).where('kid', '=', kid).execute()
}

export async function deleteSigningKey(db: Db, kid: string): Promise<void> {
  await db.deleteFrom('signing_keys').where('kid', '=', kid).execute()
}
