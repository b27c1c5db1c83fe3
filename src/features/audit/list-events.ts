import type { Context } from '../../context.ts'
import type { UserId } from '../../core/ids.ts'
import type { Db, StoredEvent } from '../../database/tables.ts'
import { FIRST_ID } from './chain-queries.ts'
import { toEntry, toOwnEntry } from './entry.ts'
import { type EventFilter, listNewestEvents, listOldestEvents } from './list-queries.ts'

type Page = { cursor: string | undefined; limit: number }

const PAGE_SIZE = 1000

/** What concerns a user, newest first, a page at a time. */
export const listOwnEvents = (context: Context, userId: UserId, page: Page) =>
  listPage(context.db, { userId }, page, toOwnEntry)

/** Every event that passes the filter, newest first, a page at a time. */
export const listEvents = (context: Context, filter: EventFilter, page: Page) =>
  listPage(context.db, filter, page, toEntry)

async function listPage<Entry>(
  db: Db,
  filter: EventFilter,
  { cursor, limit }: Page,
  describe: (event: StoredEvent) => Entry,
): Promise<{ items: Entry[]; next: string | null }> {
  const rows = await listNewestEvents(db, filter, { before: cursor, limit: limit + 1 })
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return { items: shown.map(describe), next: rows.length > limit && last ? last.id : null }
}

/** Every event that passes the filter, oldest first, a page at a time. */
export async function* walkEvents(db: Db, filter: EventFilter): AsyncGenerator<StoredEvent[]> {
  for (let after: string | undefined = FIRST_ID; after !== undefined; ) {
    const page: StoredEvent[] = await listOldestEvents(db, filter, { after, limit: PAGE_SIZE })
    if (page.length > 0) yield page
    after = page.length === PAGE_SIZE ? page.at(-1)?.id : undefined
  }
}
