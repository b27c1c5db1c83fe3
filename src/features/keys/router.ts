import { Type } from 'typebox'
import type { Context } from '../../context.ts'
import type { Keyring } from '../../core/security/keyring.ts'
import type { App } from '../../http/app-type.ts'
import { problems, success } from '../../http/schemas.ts'

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
          'RFC 7517. Empty with ALGORITHM=HS256, whose key is no public one. May be kept for 5 minutes.',
        response: { 200: success(JsonWebKeySet, 'The keys, by `kid`'), ...problems() },
      },
    },
    async (_request, reply) => {
      reply.header('cache-control', 'public, max-age=300')
      return keyring.jwks
    },
  )
}
