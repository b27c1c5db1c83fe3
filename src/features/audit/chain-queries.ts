import type { Insertable, Updateable } from 'kysely'
import { sql } from 'kysely'
import { adapterOf, prepareRow, prepareRows } from '../../database/compiled.ts'
import type { AuditChainTable, Db, StoredChain, StoredEvent } from '../../database/tables.ts'

/** There is one chain. */
const CHAIN = 1

export function findChain(db: Db): Promise<StoredChain | undefined> {
  return db.selectFrom('audit_chain').selectAll().where('id', '=', CHAIN).executeTakeFirst()
}

/** The chain, locked until the transaction ends; undefined when it is gone, or somebody else has locked it. */
export const lockFreeChain = prepareRow((db) =>
  db.selectFrom('audit_chain').selectAll().where('id', '=', CHAIN).forUpdate().skipLocked(),
)

/** False when there is one already. */
export async function insertChain(db: Db, chain: Omit<Insertable<AuditChainTable>, 'id'>): Promise<boolean> {
  const row = await db
    .insertInto('audit_chain')
    .values({ ...chain, id: CHAIN })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

export async function updateChain(db: Db, changes: Omit<Updateable<AuditChainTable>, 'id'>): Promise<void> {
  await db.updateTable('audit_chain').set(changes).where('id', '=', CHAIN).execute()
}

/** Below every id. */
export const FIRST_ID = '00000000-0000-0000-0000-000000000000'

/** Events that have no place in the chain yet, the oldest first, beginning after the id `after`. */
export const listUnsealedEvents = prepareRows((db, page: { after: string; limit: number }) =>
  db
    .selectFrom('audit_events')
    .selectAll()
    .where('seq', 'is', null)
    .where('id', '>', page.after)
    .orderBy('id')
    .limit(page.limit),
)

/** Sealed events numbered from `from` to `to`, in their order. */
export const listSealedEvents = prepareRows((db, range: { from: number; to: number; limit: number }) =>
  db
    .selectFrom('audit_events')
    .selectAll()
    .where('seq', '>=', range.from)
    .where('seq', '<=', range.to)
    .orderBy('seq')
    .limit(range.limit),
)

/** The hash of the event with that number; undefined when there is none. */
export const findHash = prepareRow((db, event: { seq: number }) =>
  db.selectFrom('audit_events').select('hash').where('seq', '=', event.seq),
)

/** Gives events their places. */
export async function storePlaces(
  db: Db,
  places: readonly Pick<StoredEvent, 'id' | 'seq' | 'hash'>[],
): Promise<void> {
  await updatePlaces(db, { places: JSON.stringify(places) })
}

const updatePlaces = prepareRows((db, { places }: { places: string }) =>
  db
    .updateTable('audit_events')
    .from((eb) =>
      eb
        .selectFrom(adapterOf(db).jsonRows(places).as('element'))
        .select((element) => [
          element.cast<string>(sql`value ->> 'id'`, 'uuid').as('event_id'),
          element.cast<number>(sql`value ->> 'seq'`, 'bigint').as('place'),
          element.cast<string>(sql`value ->> 'hash'`, 'text').as('link'),
        ])
        .as('sealed'),
    )
    .set((eb) => ({ seq: eb.ref('sealed.place'), hash: eb.ref('sealed.link') }))
    .whereRef('audit_events.id', '=', 'sealed.event_id'),
)

/** Deletes the events numbered from `from` to `to`; tells how many. */
export async function deleteSealedEvents(db: Db, from: number, to: number): Promise<number> {
  const result = await db
    .deleteFrom('audit_events')
    .where('seq', '>=', from)
    .where('seq', '<=', to)
    .executeTakeFirst()
  return Number(result.numDeletedRows)
}

type Numbered = Pick<StoredEvent, 'id' | 'seq'>

/** The first event with that number, or one below it. */
export function findEventUpTo(db: Db, seq: number): Promise<Numbered | undefined> {
  return selectFirst(db).where('seq', '<=', seq).executeTakeFirst()
}

/** The first event with a number above that. */
export function findEventAbove(db: Db, seq: number): Promise<Numbered | undefined> {
  return selectFirst(db).where('seq', '>', seq).executeTakeFirst()
}

const selectFirst = (db: Db) => db.selectFrom('audit_events').select(['id', 'seq']).orderBy('seq').limit(1)
