import { Type } from 'typebox'
import { EmailField, NewPasswordField, PasswordField, UsernameField } from '../users/schemas.ts'

const TOKEN_MAX_LENGTH = 4096
const JWT_PATTERN = '^[\\w-]+\\.[\\w-]+\\.[\\w-]+$'

const CaptchaTokenField = Type.String({
  minLength: 1,
  maxLength: TOKEN_MAX_LENGTH,
  description: 'What the captcha gave, where the server asks for one (`captcha_required`)',
  examples: ['10000000-aaaa-bbbb-cccc-000000000001'],
})

export const DeviceTokenField = Type.String({
  minLength: 1,
  maxLength: TOKEN_MAX_LENGTH,
  examples: ['eyJhbGciOiJIUzI1NiIsInR5cCI6ImR0K2p3dCJ9.eyJzdWIiOiIwMTlhMWY2ZSJ9.c2lnbmF0dXJl'],
})

export const RegisterRequest = Type.Object(
  {
    username: UsernameField,
    email: EmailField,
    password: NewPasswordField,
    captcha_token: Type.Optional(CaptchaTokenField),
  },
  { title: 'RegisterRequest', additionalProperties: false },
)

/** The password form of OAuth 2 (RFC 6749 section 4.3.2), whose unknown fields are ignored. */
export const LoginRequest = Type.Object(
  {
    username: Type.String({
      minLength: 1,
      maxLength: 320,
      description: 'Username or e-mail address',
      examples: ['ada'],
    }),
    password: PasswordField,
    grant_type: Type.Optional(Type.Enum(['password', ''], { type: 'string' })),
    scope: Type.Optional(
      Type.String({
        maxLength: 1024,
        description: 'Ignored: a password login grants no scope',
        examples: [''],
      }),
    ),
    client_id: Type.Optional(Type.String({ maxLength: 255, description: 'Ignored', examples: [''] })),
    client_secret: Type.Optional(Type.String({ maxLength: 1024, description: 'Ignored', examples: [''] })),
    device_token: Type.Optional(
      Type.String({
        ...DeviceTokenField,
        description:
          'From the last sign-in on this device: its tries are counted apart from those of others. Browsers have it in a cookie',
      }),
    ),
    captcha_token: Type.Optional(CaptchaTokenField),
  },
  { title: 'LoginRequest', examples: [{ username: 'ada', password: 'correct horse battery staple' }] },
)

const RefreshTokenField = Type.String({
  minLength: 1,
  maxLength: TOKEN_MAX_LENGTH,
  examples: ['eyJhbGciOiJIUzI1NiIsInR5cCI6InJ0K2p3dCJ9.eyJzaWQiOiIwMTlhMWY2ZSJ9.c2lnbmF0dXJl'],
})

/** The refresh token comes in the body or in the cookie. Shaped as OAuth 2 has it, so unknown fields are ignored. */
export const RefreshRequest = Type.Object(
  {
    refresh_token: Type.Optional(RefreshTokenField),
    grant_type: Type.Optional(Type.Enum(['refresh_token', ''], { type: 'string' })),
  },
  { title: 'RefreshRequest' },
)

export const LogoutRequest = Type.Object(
  { refresh_token: Type.Optional(RefreshTokenField) },
  { title: 'LogoutRequest', additionalProperties: false },
)

export const TransportQuery = Type.Object(
  {
    transport: Type.Optional(
      Type.Enum(['body', 'cookie'], {
        type: 'string',
        default: 'body',
        description: '`cookie` puts the refresh token into an HttpOnly cookie instead of the body',
      }),
    ),
  },
  { additionalProperties: false },
)

export const LogoutQuery = Type.Object(
  {
    scope: Type.Optional(
      Type.Enum(['session', 'others', 'all'], {
        type: 'string',
        default: 'session',
        description: 'This session, all others, or both',
      }),
    ),
  },
  { additionalProperties: false },
)

export const TokenPair = Type.Object(
  {
    access_token: Type.String({
      pattern: JWT_PATTERN,
      maxLength: TOKEN_MAX_LENGTH,
      description: 'JWT (RFC 9068): send it as `Authorization: Bearer`',
      examples: ['eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIwMTlhMWY2ZSJ9.c2lnbmF0dXJl'],
    }),
    refresh_token: Type.Optional(
      Type.String({
        ...RefreshTokenField,
        pattern: JWT_PATTERN,
        description: 'For the next refresh alone; absent when it is in the cookie',
      }),
    ),
    token_type: Type.Literal('bearer'),
    expires_in: Type.Integer({
      minimum: 0,
      maximum: 3600,
      description: 'Seconds until the access token expires',
      examples: [1800],
    }),
    device_token: Type.Optional(
      Type.String({
        ...DeviceTokenField,
        pattern: JWT_PATTERN,
        description:
          'Keep it on this device, also after a sign-out, and send it with the next sign-in; absent when it is in a cookie, and after a refresh',
      }),
    ),
  },
  { title: 'TokenPair' },
)

export const RefreshCookieHeader = {
  'Set-Cookie': Type.String({
    maxLength: TOKEN_MAX_LENGTH,
    description: 'The refresh token, where the cookie keeps it; emptied by a logout',
  }),
}
