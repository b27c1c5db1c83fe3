import { Type } from 'typebox'
import { CURSOR } from './places.ts'

const EXAMPLE_CURSOR = '4711.kJ0W2o0bq7y'

const Cursor = Type.String({
  pattern: CURSOR.source,
  maxLength: 50,
  description: 'A place in the feed: send it as `after` to go on from there',
  examples: [EXAMPLE_CURSOR],
})

export const RevocationQuery = Type.Object(
  {
    after: Type.Optional(
      Type.String({
        maxLength: 100,
        description:
          '`next` of the page before, or the `id` of the last event. Without it, or where the feed does not go on from it, a snapshot comes',
        examples: [EXAMPLE_CURSOR],
      }),
    ),
    limit: Type.Integer({
      minimum: 1,
      maximum: 1000,
      default: 500,
      description: 'How many a page holds at most',
    }),
  },
  { additionalProperties: false },
)

const Revocation = Type.Object(
  {
    type: Type.Enum(['session', 'key'], {
      type: 'string',
      description: 'Whose tokens are not to be believed: those with this `sid`, or this `kid`',
      examples: ['session'],
    }),
    sid: Type.Optional(
      Type.String({
        format: 'uuid',
        description: 'Of a session that has ended',
        examples: ['019a1f6e-7c1a-7b7e-8a54-3f1d2c9b0e11'],
      }),
    ),
    kid: Type.Optional(
      Type.String({
        maxLength: 100,
        description: 'Of a key that has leaked',
        examples: ['eZp6mvUTPloeczPnhMv-Gz382ugrbJjVKG3Wj9CA1QE'],
      }),
    ),
    exp: Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'Seconds since the epoch. Then no token is left that it could be about: forget it',
      examples: [1_790_000_000],
    }),
  },
  { title: 'Revocation' },
)

export const RevocationPage = Type.Object(
  {
    items: Type.Array(Revocation, { maxItems: 1000 }),
    next: Cursor,
    snapshot: Type.Boolean({
      description: 'Whether the page begins anew with all that is worth knowing, rather than after `after`',
      examples: [false],
    }),
    has_more: Type.Boolean({ description: 'Whether to ask again at once', examples: [false] }),
  },
  { title: 'RevocationPage' },
)
