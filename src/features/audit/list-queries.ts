import { firstIdAt, type UserId } from '../../core/ids.ts'
import type { Db, StoredEvent } from '../../database/tables.ts'

export type EventFilter = {
  type?: string | undefined
  /** Whom it concerns. */
  userId?: UserId | undefined
  /** The user who did it. */
  actorId?: UserId | undefined
  /** From this time on, and before that. */
  since?: number | undefined
  until?: number | undefined
}

/** What goes into `where`; times by way of the ids, which begin with them. */
function selectEvents(db: Db, { type, userId, actorId, since, until }: EventFilter) {
  return db
    .selectFrom('audit_events')
    .selectAll()
    .$if(type !== undefined, (query) => query.where('type', '=', type as string))
    .$if(userId !== undefined, (query) => query.where('user_id', '=', userId as UserId))
    .$if(actorId !== undefined, (query) => query.where('actor_id', '=', actorId as UserId))
    .$if(since !== undefined, (query) => query.where('id', '>=', firstIdAt(since as number)))
    .$if(until !== undefined, (query) => query.where('id', '<', firstIdAt(until as number)))
}

/** Newest first, beginning before the id `before`. */
export function listNewestEvents(
  db: Db,
  filter: EventFilter,
  { before, limit }: { before: string | undefined; limit: number },
): Promise<StoredEvent[]> {
  return selectEvents(db, filter)
    .$if(before !== undefined, (query) => query.where('id', '<', before as string))
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
}

/** The newest, if there is any. */
export async function findNewestEvent(db: Db, filter: EventFilter): Promise<StoredEvent | undefined> {
  return (await listNewestEvents(db, filter, { before: undefined, limit: 1 }))[0]
}

/** Oldest first, beginning after the id `after`. */
export function listOldestEvents(
  db: Db,
  filter: EventFilter,
  { after, limit }: { after: string; limit: number },
): Promise<StoredEvent[]> {
  return selectEvents(db, filter).where('id', '>', after).orderBy('id').limit(limit).execute()
}
