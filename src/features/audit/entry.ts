import type { StoredEvent } from '../../database/tables.ts'

/** An event as superusers, exports and the log show it. */
export const toEntry = (event: StoredEvent) => ({
  ...toOwnEntry(event),
  actor_name: event.actor_name,
  seq: event.seq,
  hash: event.hash,
})

/** An event as people see their own. */
export const toOwnEntry = (event: StoredEvent) => ({
  id: event.id,
  occurred_at: new Date(event.occurred_at).toISOString(),
  type: event.type,
  actor: event.actor,
  actor_id: event.actor_id,
  user_id: event.user_id,
  session_id: event.session_id,
  ip: event.ip,
  user_agent: event.user_agent,
  request_id: event.request_id,
  detail: parseDetail(event.detail),
})

/** What is no JSON, since somebody else has written it, is shown as it is. */
function parseDetail(text: string | null): object | null {
  if (text === null) return null
  try {
    return Object(JSON.parse(text))
  } catch {
    return { text }
  }
}
