import { Type } from 'typebox'
import { MAX_USER_AGENT_LENGTH } from '../../core/caller.ts'
import { DateTime, Uuid } from '../../http/schemas.ts'

const MAX_PAGE_SIZE = 100

export const SessionSummary = Type.Object(
  {
    id: Uuid,
    created_at: DateTime,
    last_used_at: Type.String({ ...DateTime, description: 'Last refresh, to the hour' }),
    ip: Type.String({ maxLength: 64, description: 'Address of the last refresh', examples: ['203.0.113.7'] }),
    user_agent: Type.String({
      maxLength: MAX_USER_AGENT_LENGTH,
      description: 'As the client named itself',
      examples: ['curl/8.5.0'],
    }),
    is_current: Type.Boolean({ description: 'Whether this request belongs to it', examples: [true] }),
  },
  { title: 'Session' },
)

export const SessionPage = Type.Object(
  {
    items: Type.Array(SessionSummary, { maxItems: MAX_PAGE_SIZE }),
    next: Type.Union([Uuid, Type.Null()], {
      description: 'Send it as `cursor` for the next page; null on the last',
      examples: [null],
    }),
  },
  { title: 'SessionPage' },
)

export const SessionPageQuery = Type.Object(
  {
    cursor: Type.Optional(Type.String({ format: 'uuid', description: '`next` of the page before' })),
    limit: Type.Integer({
      minimum: 1,
      maximum: MAX_PAGE_SIZE,
      default: 50,
      description: 'How many a page holds at most',
    }),
  },
  { additionalProperties: false },
)

export const SessionParams = Type.Object({
  id: Type.String({ ...Uuid, description: '`id` of one of your sessions' }),
})
