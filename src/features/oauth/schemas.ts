import { Type } from 'typebox'
import { Uuid } from '../../http/schemas.ts'

/** Unknown fields are ignored, as RFC 7662 section 2.1 and RFC 7009 section 2.1 have it by way of RFC 6749. */
export const TokenRequest = Type.Object(
  {
    token: Type.String({
      minLength: 1,
      maxLength: 4096,
      description: 'An access token or a refresh token',
      examples: ['eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIwMTlhMWY2ZSJ9.c2lnbmF0dXJl'],
    }),
    token_type_hint: Type.Optional(
      Type.String({ maxLength: 255, description: 'Not needed', examples: ['access_token'] }),
    ),
  },
  { title: 'TokenRequest' },
)

const seconds = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, examples: [1_790_000_000] })
const text = (maxLength: number) => Type.String({ maxLength, examples: ['postern'] })

export const Introspection = Type.Object(
  {
    active: Type.Boolean({
      description: 'Whether the token is good now; if not, there is nothing else',
      examples: [true],
    }),
    token_type: Type.Optional(
      Type.Enum(['Bearer', 'refresh_token'], { type: 'string', examples: ['Bearer'] }),
    ),
    iss: Type.Optional(Type.String({ format: 'uri', examples: ['https://auth.example.com'] })),
    aud: Type.Optional(text(2048)),
    sub: Type.Optional(Uuid),
    sid: Type.Optional(Uuid),
    jti: Type.Optional(text(100)),
    iat: Type.Optional(seconds),
    exp: Type.Optional(seconds),
    auth_time: Type.Optional(seconds),
    amr: Type.Optional(Type.Array(text(100), { maxItems: 20 })),
    client_id: Type.Optional(text(255)),
    scope: Type.Optional(Type.String({ maxLength: 1024, examples: [''] })),
    username: Type.Optional(text(320)),
  },
  { title: 'Introspection' },
)

const Url = Type.String({ format: 'uri', examples: ['https://auth.example.com'] })
const Names = Type.Array(text(100), { maxItems: 100 })

export const ServerMetadata = Type.Object(
  {
    issuer: Url,
    jwks_uri: Url,
    introspection_endpoint: Url,
    introspection_endpoint_auth_methods_supported: Names,
    revocation_endpoint: Url,
    revocation_endpoint_auth_methods_supported: Names,
    scopes_supported: Names,
    response_types_supported: Names,
    grant_types_supported: Names,
    service_documentation: Url,
  },
  { title: 'ServerMetadata' },
)
