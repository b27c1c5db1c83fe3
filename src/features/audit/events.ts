import type { Caller } from '../../core/caller.ts'
import type { Timestamp } from '../../core/clock.ts'
import { newIdAt, type SessionId, type UserId } from '../../core/ids.ts'
import { prepareRow } from '../../database/compiled.ts'
import type { Db, StoredEvent } from '../../database/tables.ts'
import { type Facts, signEvent } from './chain.ts'
import { type Writer, writerOf } from './writer.ts'

/** Described in docs/audit.md. */
export const AUDIT_EVENT_TYPES = [
  'user.created',
  'user.imported',
  'user.signed_in',
  'user.sign_in_failed',
  'user.sign_in_link_requested',
  'user.reauthentication_failed',
  'user.email_proof_failed',
  'user.username_changed',
  'user.email_verified',
  'user.email_change_requested',
  'user.email_changed',
  'user.email_change_undone',
  'user.password_changed',
  'user.password_removed',
  'user.password_reset_requested',
  'user.password_reset',
  'user.disabled',
  'user.enabled',
  'user.promoted',
  'user.demoted',
  'user.unlocked',
  'user.deleted',
  'session.recovered',
  'session.reuse_detected',
  'session.ended',
  'sessions.ended',
  'email.gave_up',
  'limit.reached',
  'key.created',
  'key.discarded',
  'key.resealed',
  'key.rotated',
  'key.revoked',
  'database.migrated',
  'server.started',
  'server.proxy_untrusted',
  'audit.rolled_back',
] as const

export type AuditEventType = (typeof AUDIT_EVENT_TYPES)[number]

/** Of these a caller is no more than who came: nobody has proved to be the user. */
const UNPROVEN: readonly AuditEventType[] = [
  'user.sign_in_failed',
  'user.sign_in_link_requested',
  'user.email_proof_failed',
  'user.password_reset_requested',
  'session.reuse_detected',
]

export type AuditEvent = {
  type: AuditEventType
  /** Whom it concerns. */
  userId?: UserId | undefined
  /** The user who did it, where that is not the user whom it concerns. */
  actorId?: UserId | undefined
  sessionId?: SessionId | undefined
  /** Absent for what an operator does on the command line, and the server by itself. */
  caller?: Caller | undefined
  /** Further facts; never a secret, never a password. */
  detail?: Readonly<Record<string, string | number | boolean>>
}

/** Writes down a security event: call it in the transaction of what it tells of. */
export async function recordEvent(db: Db, now: Timestamp, event: AuditEvent): Promise<void> {
  await insertEvent(db, toRow(writerOf(db), event, now))
}

/** The same for several in one statement, and for none. */
export async function recordEvents(db: Db, now: Timestamp, events: readonly AuditEvent[]): Promise<void> {
  if (events.length === 0) return
  const writer = writerOf(db)
  await db
    .insertInto('audit_events')
    .values(events.map((event) => toRow(writer, event, now)))
    .execute()
}

type Row = Facts & Pick<StoredEvent, 'mac'>

const insertEvent = prepareRow((db, row: Row) =>
  db.insertInto('audit_events').values({
    id: row.id,
    occurred_at: row.occurred_at,
    type: row.type,
    actor: row.actor,
    actor_id: row.actor_id,
    actor_name: row.actor_name,
    user_id: row.user_id,
    session_id: row.session_id,
    ip: row.ip,
    user_agent: row.user_agent,
    request_id: row.request_id,
    detail: row.detail,
    mac: row.mac,
  }),
)

function toRow(writer: Writer, event: AuditEvent, now: Timestamp): Row {
  const facts: Facts = {
    id: newIdAt(now),
    occurred_at: now,
    type: event.type,
    ...actorOf(writer, event),
    user_id: event.userId ?? null,
    session_id: event.sessionId ?? null,
    ip: event.caller?.ip ?? null,
    user_agent: event.caller?.userAgent ?? null,
    request_id: event.caller?.requestId ?? null,
    detail: event.detail ? JSON.stringify(event.detail) : null,
  }
  return { ...facts, mac: writer.key ? signEvent(writer.key, facts) : null }
}

function actorOf(
  { actor, name }: Writer,
  { type, caller, userId, actorId, sessionId }: AuditEvent,
): Pick<Row, 'actor' | 'actor_id' | 'actor_name'> {
  if (!caller) return { actor, actor_id: null, actor_name: name }
  // Who fails at it without a session had nothing but a mail.
  const isStranger = type === 'user.reauthentication_failed' && sessionId === undefined
  const id = actorId ?? (isStranger || UNPROVEN.includes(type) ? undefined : userId)
  return { actor: id === undefined ? 'anonymous' : 'user', actor_id: id ?? null, actor_name: null }
}
