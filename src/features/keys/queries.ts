import type { Insertable, Selectable } from 'kysely'
import type { Db, SigningKeysTable } from '../../database/tables.ts'

export type StoredSigningKey = Selectable<SigningKeysTable>

/** Every signing key, newest last. */
export function listSigningKeys(db: Db): Promise<StoredSigningKey[]> {
  return db.selectFrom('signing_keys').selectAll().orderBy('created_at').orderBy('kid').execute()
}

export async function insertSigningKey(db: Db, key: Insertable<SigningKeysTable>): Promise<void> {
  await db.insertInto('signing_keys').values(key).execute()
}

export async function resealSigningKey(db: Db, kid: string, sealedPrivateJwk: string): Promise<void> {
  await db
    .updateTable('signing_keys')
    .set({ sealed_private_jwk: sealedPrivateJwk })
    .where('kid', '=', kid)
    .execute()
}
