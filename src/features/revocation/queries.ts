import { sql } from 'kysely'
import type { Timestamp } from '../../core/clock.ts'
import { adapterOf, prepareRow, prepareRows } from '../../database/compiled.ts'
import type { Db } from '../../database/tables.ts'

export type RevocationKind = 'session' | 'key'

/** One that has its place in the feed. */
export type Revocation = {
  subject: string
  kind: RevocationKind
  seq: number
  mark: string
  previous_mark: string
  published_at: Timestamp
}

/** A place in the feed: after the revocation with this number, which has this mark. */
export type Place = { seq: number; mark: string }

/** Writes down whose tokens are not to be believed any more: call it in the transaction that ended them. */
export async function insertRevocations(
  db: Db,
  kind: RevocationKind,
  subjects: readonly string[],
): Promise<void> {
  if (subjects.length === 0) return
  await db
    .insertInto('revocations')
    .values(subjects.map((subject) => ({ subject, kind })))
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/**
 * The same for every session that was ended at that time: when they have ended, since until then they can move on.
 * @param usedSince those that have not moved on since have no token that holds
 */
export async function insertRevocationsOfSessions(
  db: Db,
  { revokedAt, usedSince }: { revokedAt: Timestamp; usedSince: Timestamp },
): Promise<void> {
  await db
    .insertInto('revocations')
    .columns(['subject', 'kind'])
    .expression((eb) =>
      eb
        .selectFrom('sessions')
        .select((session) => [
          session.cast<string>('id', 'text').as('subject'),
          sql.lit('session' satisfies RevocationKind).as('kind'),
        ])
        .where('revoked_at', '=', revokedAt)
        .where((session) =>
          session.or([session('rotated_at', '>', usedSince), session('recovered_at', '>', usedSince)]),
        ),
    )
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** Where the feed ends, and whether something waits to be published. */
export const findEnd = prepareRow((db) =>
  db
    .selectFrom('revocation_feed as feed')
    .select((eb) => [
      'feed.seq',
      'feed.mark',
      eb
        .exists(eb.selectFrom('revocations').select('subject').where('revocations.seq', 'is', null))
        .as('has_unpublished'),
    ]),
)

/** What comes after a number in the feed. */
export const listRevocationsAfter = prepareRows((db, { after, limit }: { after: number; limit: number }) =>
  db
    .selectFrom('revocations')
    .selectAll()
    .where('seq', '>', after)
    .orderBy('seq')
    .limit(limit)
    .$castTo<Revocation>(),
)

/** Where the feed ends, locked until the transaction ends; undefined while somebody else has locked it. */
export const lockFeed = prepareRow((db) =>
  db.selectFrom('revocation_feed').select(['seq', 'mark']).forUpdate().skipLocked(),
)

/** Some that have no place yet. */
export const listUnpublished = prepareRows((db, { limit }: { limit: number }) =>
  db.selectFrom('revocations').select('subject').where('seq', 'is', null).orderBy('subject').limit(limit),
)

type NewPlace = Place & { subject: string; previous_mark: string }

/** Gives revocations their places, and moves the end of the feed. */
export async function storePlaces(
  db: Db,
  places: readonly NewPlace[],
  end: Place,
  now: Timestamp,
): Promise<void> {
  await updatePlaces(db, { places: JSON.stringify(places), now })
  await db.updateTable('revocation_feed').set(end).execute()
}

const updatePlaces = prepareRows((db, { places, now }: { places: string; now: Timestamp }) =>
  db
    .updateTable('revocations')
    .from((eb) =>
      eb
        .selectFrom(adapterOf(db).jsonRows(places).as('element'))
        .select((element) => [
          element.cast<string>(sql`value ->> 'subject'`, 'text').as('name'),
          element.cast<number>(sql`value ->> 'seq'`, 'bigint').as('place'),
          element.cast<string>(sql`value ->> 'mark'`, 'text').as('own_mark'),
          element.cast<string>(sql`value ->> 'previous_mark'`, 'text').as('mark_before'),
        ])
        .as('published'),
    )
    .set((eb) => ({
      seq: eb.ref('published.place'),
      mark: eb.ref('published.own_mark'),
      previous_mark: eb.ref('published.mark_before'),
      published_at: now,
    }))
    .whereRef('revocations.subject', '=', 'published.name'),
)

/** Deletes some that were published before that time, the oldest first; tells how many. */
export async function deleteRevocations(db: Db, before: Timestamp, limit: number): Promise<number> {
  const old = db
    .selectFrom('revocations')
    .select('subject')
    .where('seq', 'is not', null)
    .where('published_at', '<', before)
    .orderBy('seq')
    .limit(limit)
  const rows = await db.deleteFrom('revocations').where('subject', 'in', old).returning('subject').execute()
  return rows.length
}
