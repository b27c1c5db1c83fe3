import type { Insertable } from 'kysely'
import type { Timestamp } from '../../core/clock.ts'
import type { Db, RegistrationsTable } from '../../database/tables.ts'

export type Registration = RegistrationsTable

/** Keeps a registration; false when somebody else is registering with the name. */
export async function insertRegistration(
  db: Db,
  row: Insertable<RegistrationsTable>,
  now: Timestamp,
): Promise<boolean> {
  await db
    .deleteFrom('registrations')
    .where('username_key', '=', row.username_key)
    .where('expires_at', '<=', now)
    .execute()
  const stored = await db
    .insertInto('registrations')
    .values(row)
    .onConflict((conflict) => conflict.column('username_key').doNothing())
    .returning('id')
    .executeTakeFirst()
  return stored !== undefined
}

export function findRegistration(db: Db, id: string): Promise<Registration | undefined> {
  return db.selectFrom('registrations').selectAll().where('id', '=', id).executeTakeFirst()
}

/** The one that waits still, kept from being deleted until the transaction ends. */
export function lockRegistration(db: Db, id: string, now: Timestamp): Promise<Registration | undefined> {
  return db
    .selectFrom('registrations')
    .selectAll()
    .where('id', '=', id)
    .where('expires_at', '>', now)
    .forKeyShare()
    .executeTakeFirst()
}

/** The newest one with this address, or the one with this name; both as they are compared. */
export function findOpenRegistration(
  db: Db,
  by: { email: string } | { username: string },
  now: Timestamp,
): Promise<Registration | undefined> {
  const [column, key] =
    'email' in by ? (['email_key', by.email] as const) : (['username_key', by.username] as const)
  return db
    .selectFrom('registrations')
    .selectAll()
    .where(column, '=', key)
    .where('expires_at', '>', now)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
}

/** Ends a registration; what was sent for it stays a while, so that a second click can be told that it was used. */
export async function endRegistration(db: Db, id: string, now: Timestamp): Promise<void> {
  await db.updateTable('registrations').set({ expires_at: now }).where('id', '=', id).execute()
}

/** Deletes some of those that have expired. */
export async function deleteExpiredRegistrations(db: Db, now: Timestamp, limit: number): Promise<number> {
  const expired = db.selectFrom('registrations').select('id').where('expires_at', '<=', now).limit(limit)
  const rows = await db.deleteFrom('registrations').where('id', 'in', expired).returning('id').execute()
  return rows.length
}
