import { Type } from 'typebox'
import { MAX_USER_AGENT_LENGTH } from '../../core/caller.ts'
import { DateTime, pageOf, paging, REQUEST_ID, Uuid } from '../../http/schemas.ts'
import { AUDIT_EVENT_TYPES } from './events.ts'

const ACTORS = ['user', 'anonymous', 'operator', 'server', 'unknown']

const ID = '019a1f6e-7c1a-7b7e-8a54-3f1d2c9b0e11'

const orNull = <Schema extends Type.TSchema>(schema: Schema, description: string, example: unknown) =>
  Type.Union([schema, Type.Null()], { description, examples: [example] })

const common = {
  id: Uuid,
  occurred_at: DateTime,
  type: Type.String({ maxLength: 64, description: 'What happened', examples: ['user.signed_in'] }),
  actor: Type.String({
    enum: ACTORS,
    description:
      'Who did it: a signed-in user, somebody who proved nothing, an operator on the command line, the server itself',
    examples: ['user'],
  }),
  actor_id: orNull(Uuid, 'The user who did it', ID),
  user_id: orNull(Uuid, 'Whom it concerns', ID),
  session_id: orNull(Uuid, 'The session that it concerns', ID),
  ip: orNull(Type.String({ maxLength: 64 }), 'Where it came from', '203.0.113.7'),
  user_agent: orNull(
    Type.String({ maxLength: MAX_USER_AGENT_LENGTH }),
    'As the client named itself',
    'curl/8.5.0',
  ),
  request_id: orNull(Type.String({ pattern: REQUEST_ID.source }), 'The request, as in the log', ID),
  detail: orNull(Type.Object({}, { additionalProperties: true }), 'Further facts, by type', {
    method: 'password',
  }),
}

const OwnEvent = Type.Object(common, { title: 'SecurityEvent' })

const AuditEntry = Type.Object(
  {
    ...common,
    actor_name: orNull(
      Type.String({ maxLength: 256 }),
      "The operator's name in their operating system, or the server's host",
      null,
    ),
    seq: orNull(
      Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
      'Its number in the chain; null until it is sealed, about a second',
      1,
    ),
    hash: orNull(
      Type.String({ maxLength: 43 }),
      'Covers the event, its number and the hash before it',
      'tqEYYt1Fl9pUksUPRNhCVB4cfbGeSg8GUZdDYZK2YJM',
    ),
  },
  { title: 'AuditEvent' },
)

export const OwnEventPage = pageOf(OwnEvent, 'SecurityEventPage')
export const AuditPage = pageOf(AuditEntry, 'AuditPage')

export const OwnEventQuery = Type.Object(paging, { additionalProperties: false })

export const AuditQuery = Type.Object(
  {
    ...paging,
    type: Type.Optional(Type.String({ enum: [...AUDIT_EVENT_TYPES], description: 'Only of this type' })),
    user: Type.Optional(Type.String({ ...Uuid, description: 'Only what concerns this user' })),
    actor: Type.Optional(Type.String({ ...Uuid, description: 'Only what this user did' })),
    since: Type.Optional(Type.String({ format: 'date-time', description: 'From this time on' })),
    until: Type.Optional(Type.String({ format: 'date-time', description: 'Before this time' })),
  },
  { additionalProperties: false },
)
