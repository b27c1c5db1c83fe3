import { createHash } from 'node:crypto'
import { Type } from 'typebox'
import type { Context } from '../../context.ts'
import type { Keyring } from '../../core/security/keyring.ts'
import type { App } from '../../http/app-type.ts'
import { problems, success } from '../../http/schemas.ts'

/** How long whoever has the published keys may keep them. */
const MAX_AGE_SECONDS = 300

/** RFC 7517 section 4; the members that hold the key follow from `kty`. */
const JsonWebKey = Type.Object(
  {
    kty: Type.String({ pattern: '^(EC|OKP|RSA)$', examples: ['EC'] }),
    kid: Type.Optional(
      Type.String({ maxLength: 100, examples: ['eZp6mvUTPloeczPnhMv-Gz382ugrbJjVKG3Wj9CA1QE'] }),
    ),
    alg: Type.Optional(Type.String({ pattern: '^(ES256|EdDSA|RS256|PS256)$', examples: ['ES256'] })),
    use: Type.Optional(Type.String({ pattern: '^sig$', examples: ['sig'] })),
  },
  { title: 'JsonWebKey', additionalProperties: true },
)

const JsonWebKeySet = Type.Object(
  {
    keys: Type.Array(Type.Unsafe<Keyring['jwks']['keys'][number]>(JsonWebKey), { maxItems: 100 }),
  },
  { title: 'JsonWebKeySet' },
)

export async function keysRouter(app: App, { keyring }: Context): Promise<void> {
  app.get(
    '/.well-known/jwks.json',
    {
      schema: {
        operationId: 'getJwks',
        tags: ['keys'],
        summary: 'Public keys that verify access tokens',
        description:
          'RFC 7517. The key that signs, the one that will next, and those that did, as long as a token of theirs may live; none with ALGORITHM=HS256, whose key is no public one. May be kept for 5 minutes; ask again at once, though not more than every 30 seconds, for a `kid` that is not among them.',
        response: {
          200: success(JsonWebKeySet, 'The keys, by `kid`'),
          304: success(Type.Null(), 'Those that `If-None-Match` names are the keys still'),
          ...problems(),
        },
      },
    },
    async (request, reply) => {
      const { jwks } = keyring.current()
      const etag = etagOf(jwks)
      reply.headers({ 'cache-control': `public, max-age=${MAX_AGE_SECONDS}`, etag })
      return isKnown(request.headers['if-none-match'], etag) ? reply.code(304).send(null) : jwks
    },
  )
}

const etagOf = (jwks: Keyring['jwks']): string =>
  `"${createHash('sha256').update(JSON.stringify(jwks)).digest('base64url').slice(0, 22)}"`

/** RFC 9110 section 13.1.2: weak comparison, whatever a cache has made of it. */
const isKnown = (given: string | undefined, etag: string): boolean =>
  (given ?? '').split(',').some((one) => one.trim() === '*' || one.trim().replace(/^W\//, '') === etag)
