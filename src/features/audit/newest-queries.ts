import type { Selectable } from 'kysely'
import type { AuditEventsTable, Db } from '../../database/tables.ts'

type StoredEvent = Selectable<AuditEventsTable>

/** The newest event, of one type where that is given; ids are ordered by time. */
export function findNewestEvent(db: Db, type?: string): Promise<StoredEvent | undefined> {
  return db
    .selectFrom('audit_events')
    .selectAll()
    .$if(type !== undefined, (query) => query.where('type', '=', type as string))
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
}
