import { type Selectable, sql } from 'kysely'
import type { Timestamp } from '../../core/clock.ts'
import { adapterOf, prepareRow, prepareRows } from '../../database/compiled.ts'
import type { Db, OutboxTable } from '../../database/tables.ts'

export type StoredMail = Selectable<OutboxTable>

type NewMail = Pick<
  StoredMail,
  'id' | 'kind' | 'user_id' | 'recipient' | 'locale' | 'sealed_data' | 'created_at' | 'next_attempt_at'
>

export const insertMail = prepareRow((db, mail: NewMail) =>
  db.insertInto('outbox').values({
    id: mail.id,
    kind: mail.kind,
    user_id: mail.user_id,
    recipient: mail.recipient,
    locale: mail.locale,
    sealed_data: mail.sealed_data,
    created_at: mail.created_at,
    next_attempt_at: mail.next_attempt_at,
  }),
)

/** One that was taken. */
export type ClaimedMail = Omit<StoredMail, 'next_attempt_at' | 'gave_up_at'>

/** The one that is due first. */
export const findDueMail = prepareRow((db, { now }: { now: Timestamp }) =>
  db
    .selectFrom('outbox')
    .select('id')
    .where('gave_up_at', 'is', null)
    .where('next_attempt_at', '<=', now)
    // Else PostgreSQL might look through all that wait.
    .orderBy('next_attempt_at')
    .limit(1),
)

/** Takes some that are due, those that have waited longest first: until then nobody else does. */
export const claimMails = prepareRows((db, claim: { now: Timestamp; until: Timestamp; limit: number }) =>
  db
    .with('due', (due) =>
      due
        .selectFrom('outbox')
        .select('id as due_id')
        .where('gave_up_at', 'is', null)
        .where('next_attempt_at', '<=', claim.now)
        .orderBy('next_attempt_at')
        .limit(claim.limit)
        .forUpdate()
        .skipLocked(),
    )
    .updateTable('outbox')
    .from('due')
    .set((eb) => ({ next_attempt_at: claim.until, attempts: eb('attempts', '+', sql.lit(1)) }))
    .whereRef('outbox.id', '=', 'due.due_id')
    .returning([
      'id',
      'kind',
      'user_id',
      'recipient',
      'locale',
      'sealed_data',
      'attempts',
      'created_at',
      'last_error',
    ]),
)

/** Gives back what was taken until then, and not tried: it has its place before those that came later. */
export const releaseMails = (db: Db, ids: readonly string[], until: Timestamp) =>
  updateReleased(db, { ids: adapterOf(db).toList(ids), until })

const updateReleased = prepareRows((db, { ids, until }: { ids: unknown; until: Timestamp }) =>
  db
    .updateTable('outbox')
    .set((eb) => ({ next_attempt_at: eb.ref('created_at'), attempts: eb('attempts', '-', sql.lit(1)) }))
    .where(adapterOf(db).isAmong(sql.ref('id'), ids))
    .where('next_attempt_at', '=', until),
)

/** Puts one off that was taken until then. */
export async function deferMail(
  db: Db,
  { id, until }: { id: string; until: Timestamp },
  { next_attempt_at, last_error }: Pick<StoredMail, 'next_attempt_at' | 'last_error'>,
): Promise<void> {
  await db
    .updateTable('outbox')
    .set({ next_attempt_at, last_error })
    .where('id', '=', id)
    .where('next_attempt_at', '=', until)
    .execute()
}

/** Keeps of one that was taken until then no more than that it was not sent. False when somebody else has taken it. */
export async function giveUpMail(
  trx: Db,
  { id, until }: { id: string; until: Timestamp },
  changes: Pick<StoredMail, 'attempts' | 'gave_up_at' | 'last_error'>,
): Promise<boolean> {
  const row = await trx
    .updateTable('outbox')
    .set({ ...changes, sealed_data: null, recipient: null })
    .where('id', '=', id)
    .where('next_attempt_at', '=', until)
    .where('gave_up_at', 'is', null)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

/** Deletes what was sent, or is for nobody. */
export const deleteMails = (db: Db, ids: readonly string[]) =>
  deleteAmong(db, { ids: adapterOf(db).toList(ids) })

const deleteAmong = prepareRows((db, { ids }: { ids: unknown }) =>
  db.deleteFrom('outbox').where(adapterOf(db).isAmong(sql.ref('id'), ids)),
)

/** Deletes some that were given up before that time; tells how many. */
export async function deleteGivenUpMails(db: Db, before: Timestamp, limit: number): Promise<number> {
  const old = db.selectFrom('outbox').select('id').where('gave_up_at', '<', before).limit(limit)
  const rows = await db.deleteFrom('outbox').where('id', 'in', old).returning('id').execute()
  return rows.length
}

/** How many wait, since when, and how many were given up. */
export type OutboxLoad = { waiting: number; oldestAt: Timestamp | null; givenUp: number }

/** @param since those given up before are left out */
export async function countMails(db: Db, since: Timestamp = 0): Promise<OutboxLoad> {
  const [waiting, givenUp] = await Promise.all([
    db
      .selectFrom('outbox')
      .select((eb) => [
        eb.fn.countAll<number>().as('count'),
        eb.fn.min<Timestamp | null>('created_at').as('oldestAt'),
      ])
      .where('gave_up_at', 'is', null)
      .executeTakeFirstOrThrow(),
    db
      .selectFrom('outbox')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('gave_up_at', '>=', since)
      .executeTakeFirstOrThrow(),
  ])
  return { waiting: waiting.count, oldestAt: waiting.oldestAt, givenUp: givenUp.count }
}
