import { Type } from 'typebox'
import { DateTime, Uuid } from '../../http/schemas.ts'
import { PASSWORD_MAX_LENGTH } from '../passwords/policy.ts'
import { EMAIL_MAX_LENGTH, USERNAME_LENGTH } from './names.ts'

/** Far above any real password; what is longer is refused before it costs anything. */
export const PASSWORD_FIELD_MAX = 1024

export const PasswordField = Type.String({
  minLength: 1,
  maxLength: PASSWORD_FIELD_MAX,
  format: 'password',
  examples: ['correct horse battery staple'],
})

export const UsernameField = Type.String({
  minLength: 1,
  maxLength: 200,
  description: `${USERNAME_LENGTH.min} to ${USERNAME_LENGTH.max} letters, digits and \`._-\` of any script after NFKC; unique without regard to case`,
  examples: ['ada'],
})

export const EmailField = Type.String({
  minLength: 3,
  maxLength: EMAIL_MAX_LENGTH,
  description: 'Unique without regard to case, kept as typed',
  examples: ['ada@example.com'],
})

export const NewPasswordField = Type.String({
  minLength: 1,
  maxLength: PASSWORD_FIELD_MAX,
  format: 'password',
  description: `15 to ${PASSWORD_MAX_LENGTH} characters unless PASSWORD_MIN_LENGTH says otherwise; any characters, no composition rules. Refused with the reason when attackers try it first: when it is common, known from a breach, or made of the names of the user or the service`,
  examples: ['correct horse battery staple'],
})

/** BCP 47. */
const LocaleField = Type.String({
  pattern: '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}$',
  maxLength: 35,
  description: 'Language of your mails, such as `de` or `pt-BR`; null for the one that your browser asks for',
  examples: ['de'],
})

export const UserProfile = Type.Object(
  {
    id: Uuid,
    username: Type.String({ maxLength: 200, examples: ['ada'] }),
    email: Type.String({ maxLength: EMAIL_MAX_LENGTH, examples: ['ada@example.com'] }),
    is_active: Type.Boolean({ description: 'Whether they may sign in', examples: [true] }),
    is_superuser: Type.Boolean({ examples: [false] }),
    email_verified: Type.Boolean({ examples: [false] }),
    pending_email: Type.Optional(
      Type.String({
        maxLength: EMAIL_MAX_LENGTH,
        description: 'In the answer to a change: the new address, which is yet to be confirmed',
        examples: ['ada@example.org'],
      }),
    ),
    locale: Type.Union([LocaleField, Type.Null()], { examples: ['en'] }),
    created_at: DateTime,
    updated_at: DateTime,
  },
  { title: 'UserProfile' },
)

const CurrentPassword = Type.String({
  ...PasswordField,
  description: 'Proof that it is you, beyond a token that could have been stolen',
})

export const UpdateUserRequest = Type.Object(
  {
    username: Type.Optional(UsernameField),
    email: Type.Optional(EmailField),
    password: Type.Optional(NewPasswordField),
    locale: Type.Optional(Type.Union([LocaleField, Type.Null()])),
    current_password: Type.Optional(CurrentPassword),
  },
  { title: 'UpdateUserRequest', additionalProperties: false, examples: [{ username: 'ada.lovelace' }] },
)

export const DeleteUserRequest = Type.Object(
  { current_password: CurrentPassword },
  { title: 'DeleteUserRequest', additionalProperties: false },
)

export const AdminGreeting = Type.Object(
  {
    message: Type.String({ maxLength: 1024, examples: ['Hello, ada: you are a superuser'] }),
    user: UserProfile,
  },
  { title: 'AdminGreeting' },
)
