import type { Insertable } from 'kysely'
import type { Caller } from '../../core/caller.ts'
import type { Timestamp } from '../../core/clock.ts'
import { newId, type SessionId, type UserId } from '../../core/ids.ts'
import { prepareRow } from '../../database/compiled.ts'
import type { AuditEventsTable, Db } from '../../database/tables.ts'

export type AuditEventType =
  | 'user.created'
  | 'user.imported'
  | 'user.signed_in'
  | 'user.sign_in_failed'
  | 'user.reauthentication_failed'
  | 'user.username_changed'
  | 'user.email_changed'
  | 'user.password_changed'
  | 'user.disabled'
  | 'user.enabled'
  | 'user.unlocked'
  | 'user.deleted'
  | 'session.recovered'
  | 'session.reuse_detected'
  | 'session.ended'
  | 'sessions.ended'
  | 'limit.reached'
  | 'server.proxy_untrusted'

export type AuditEvent = {
  type: AuditEventType
  userId?: UserId | undefined
  sessionId?: SessionId | undefined
  /** Absent for what an operator does on the command line. */
  caller?: Caller | undefined
  /** Further facts; never a secret, never a password. */
  detail?: Record<string, string | number | boolean>
}

/** Writes down a security event: call it in the transaction of what it tells of. */
export async function recordEvent(db: Db, now: Timestamp, event: AuditEvent): Promise<void> {
  await insertEvent(db, toRow(event, now))
}

/** The same for several in one statement, and for none. */
export async function recordEvents(db: Db, now: Timestamp, events: readonly AuditEvent[]): Promise<void> {
  if (events.length === 0) return
  await db
    .insertInto('audit_events')
    .values(events.map((event) => toRow(event, now)))
    .execute()
}

const insertEvent = prepareRow((db, row: Required<Insertable<AuditEventsTable>>) =>
  db.insertInto('audit_events').values({
    id: row.id,
    occurred_at: row.occurred_at,
    type: row.type,
    user_id: row.user_id,
    session_id: row.session_id,
    ip: row.ip,
    user_agent: row.user_agent,
    request_id: row.request_id,
    detail: row.detail,
  }),
)

const toRow = (event: AuditEvent, now: Timestamp): Required<Insertable<AuditEventsTable>> => ({
  id: newId(),
  occurred_at: now,
  type: event.type,
  user_id: event.userId ?? null,
  session_id: event.sessionId ?? null,
  ip: event.caller?.ip ?? null,
  user_agent: event.caller?.userAgent ?? null,
  request_id: event.caller?.requestId ?? null,
  detail: event.detail ? JSON.stringify(event.detail) : null,
})
