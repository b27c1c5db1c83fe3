import { Type } from 'typebox'
import { MAX_USER_AGENT_LENGTH } from '../../core/caller.ts'
import { DateTime, pageOf, paging, Uuid } from '../../http/schemas.ts'

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

export const SessionPage = pageOf(SessionSummary, 'SessionPage')

export const SessionPageQuery = Type.Object(paging, { additionalProperties: false })

export const SessionParams = Type.Object({
  id: Type.String({ ...Uuid, description: '`id` of one of your sessions' }),
})
