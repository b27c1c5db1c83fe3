import type { Insertable, Selectable } from 'kysely'
import { sql } from 'kysely'
import type { Timestamp } from '../../core/clock.ts'
import type { Db, EmailTokensTable } from '../../database/tables.ts'

export type StoredEmailToken = Selectable<EmailTokensTable>

/**
 * Puts a token into its slot, in place of the one that was there. Of all that were sent to the address for this only its code
 * is good from now on, so that a guess is one at one code; codes that are bound to who asked are told apart by that.
 */
export async function putEmailToken(db: Db, row: Insertable<EmailTokensTable>): Promise<void> {
  await db
    .updateTable('email_tokens')
    .set({ code_mac: null })
    .where('address_key', '=', row.address_key)
    .where('code_mac', 'is not', null)
    .where('binding_hash', 'is', null)
    .execute()
  await db
    .insertInto('email_tokens')
    .values(row)
    .onConflict((conflict) =>
      conflict.column('slot').doUpdateSet({ code_failures: 0, consumed_at: null, ...row }),
    )
    .execute()
}

/** Whether it is still good is for the caller to say. */
export function findEmailToken(db: Db, tokenHash: string): Promise<StoredEmailToken | undefined> {
  return db.selectFrom('email_tokens').selectAll().where('token_hash', '=', tokenHash).executeTakeFirst()
}

/**
 * Counts a try against every code that it could be, and gives those that have a try left for it.
 * @param tried `bindingHash` is of what the browser or client keeps: nobody else tries at its codes, nor uses them up
 */
export function countCodeTry(
  db: Db,
  {
    addressKeys,
    bindingHash,
    mostFailures,
    now,
  }: { addressKeys: readonly string[]; bindingHash: string; mostFailures: number; now: Timestamp },
): Promise<StoredEmailToken[]> {
  return db
    .updateTable('email_tokens')
    .set({ code_failures: sql<number>`code_failures + 1` })
    .where('address_key', 'in', addressKeys)
    .where('code_mac', 'is not', null)
    .where((eb) => eb.or([eb('binding_hash', 'is', null), eb('binding_hash', '=', bindingHash)]))
    .where('code_failures', '<', mostFailures)
    .where('consumed_at', 'is', null)
    .where('expires_at', '>', now)
    .returningAll()
    .execute()
}

/** Takes back a try that was right. */
export async function giveBackCodeTry(db: Db, id: string): Promise<void> {
  await db
    .updateTable('email_tokens')
    .set({ code_failures: sql<number>`code_failures - 1` })
    .where('id', '=', id)
    .where('code_failures', '>', 0)
    .execute()
}

/** Uses a token up; false when it has been used, replaced, or has expired meanwhile. */
export async function consumeEmailToken(db: Db, id: string, now: Timestamp): Promise<boolean> {
  const row = await db
    .updateTable('email_tokens')
    .set({ consumed_at: now })
    .where('id', '=', id)
    .where('consumed_at', 'is', null)
    .where('expires_at', '>', now)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

/** Of a user; the ways back to old addresses stay, whatever else ends. */
export const ALL_BUT_UNDO = ['verify_email', 'change_email', 'reset_password', 'sign_in'] as const

/** Ends what was sent to a user and not used, of these kinds. */
export async function deleteEmailTokens(db: Db, userId: string, kinds: readonly string[]): Promise<void> {
  await db.deleteFrom('email_tokens').where('user_id', '=', userId).where('kind', 'in', kinds).execute()
}

/** Ends the ways back to addresses that a user had after this one. */
export async function deleteLaterUndos(db: Db, { id, user_id, created_at }: StoredEmailToken): Promise<void> {
  await db
    .deleteFrom('email_tokens')
    .where('user_id', '=', user_id)
    .where('kind', '=', 'undo_email_change')
    .where('created_at', '>=', created_at)
    .where('id', '!=', id)
    .execute()
}

type WantedBack = { addressKey: string; now: Timestamp }

/** The ways back to an address that are still good. */
const undosOf = (db: Db, { addressKey, now }: WantedBack) =>
  db
    .selectFrom('email_tokens')
    .where('address_key', '=', addressKey)
    // As the index has it.
    .where('kind', '=', sql.lit('undo_email_change'))
    .where('consumed_at', 'is', null)
    .where('expires_at', '>', now)

/** The way back to an address that a user has. */
export function findUndo(
  db: Db,
  { userId, ...wanted }: WantedBack & { userId: string },
): Promise<StoredEmailToken | undefined> {
  return undosOf(db, wanted).selectAll().where('user_id', '=', userId).executeTakeFirst()
}

/** Whether somebody has a way back to the address, beside this user. */
export async function hasUndo(
  db: Db,
  { except, ...wanted }: WantedBack & { except: string | null },
): Promise<boolean> {
  const row = await undosOf(db, wanted)
    .select('id')
    .where('user_id', 'is distinct from', except)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** Ends all that was sent to anybody. */
export async function deleteAllEmailTokens(db: Db): Promise<void> {
  await db.deleteFrom('email_tokens').execute()
}

/** Deletes some of those that have expired. */
export async function deleteExpiredEmailTokens(db: Db, now: Timestamp, limit: number): Promise<number> {
  const expired = db.selectFrom('email_tokens').select('id').where('expires_at', '<=', now).limit(limit)
  const rows = await db.deleteFrom('email_tokens').where('id', 'in', expired).returning('id').execute()
  return rows.length
}
