import type { OperatorContext } from '../../context.ts'
import { type UserId, UUID } from '../../core/ids.ts'
import { toEntry } from '../../features/audit/entry.ts'
import { AUDIT_EVENT_TYPES } from '../../features/audit/events.ts'
import { walkEvents } from '../../features/audit/list-events.ts'
import { CommandFailure, MISUSED } from '../failures.ts'
import { withTables } from '../open.ts'
import { print, visible } from '../output.ts'
import { getNamedUser } from './named-user.ts'

/** Times in milliseconds since 1970. */
export type ExportOptions = { since?: number; until?: number; type?: string; user?: string; actor?: string }

/** Prints events as they come out of the database, each as a line of JSON. */
export async function exportAudit({ since, until, type, user, actor }: ExportOptions): Promise<void> {
  if (type !== undefined && !AUDIT_EVENT_TYPES.some((known) => known === type)) {
    throw new CommandFailure(`There are no events of type "${visible(type)}"`, MISUSED)
  }
  await withTables(async (context) => {
    const userId = await toUserId(context, user)
    const actorId = await toUserId(context, actor)
    for await (const page of walkEvents(context.db, { type, since, until, userId, actorId })) {
      await print(page.map((event) => `${JSON.stringify(toEntry(event))}\n`).join(''))
    }
  })
}

/** An id also of a user who was deleted. */
async function toUserId(context: OperatorContext, name: string | undefined): Promise<UserId | undefined> {
  if (name === undefined) return undefined
  return UUID.test(name) ? name.toLowerCase() : (await getNamedUser(context, name)).id
}
