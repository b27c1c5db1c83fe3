import { Type } from 'typebox'
import { INPUT_PROBLEMS, success } from '../../http/schemas.ts'
import { EmailField, NewPasswordField, PasswordField } from '../users/schemas.ts'

export const TokenField = Type.String({
  minLength: 1,
  maxLength: 512,
  description: 'From the link of the mail',
  examples: ['Jd3rWk0fJ0W2o0bq7yqk3hXnXo6m3r0k8t3mH6Vf1uE'],
})

const CodeField = Type.String({
  minLength: 1,
  maxLength: 20,
  description: 'The six digits of the mail; spaces are ignored',
  examples: ['482913'],
})

/** Either the token alone, or the address with the code. */
export const proofFields = {
  token: Type.Optional(TokenField),
  email: Type.Optional(Type.String({ ...EmailField, description: 'Where the code was sent; with `code`' })),
  code: Type.Optional(CodeField),
}

export const EmailRequest = Type.Object(
  { email: EmailField },
  { title: 'EmailRequest', additionalProperties: false },
)

export const VerifyEmailRequest = Type.Object(
  {
    ...proofFields,
    password: Type.Optional(
      Type.String({
        ...PasswordField,
        description:
          'Of the registration, where an account begins with this; else of the account, where it is asked for',
      }),
    ),
  },
  {
    title: 'VerifyEmailRequest',
    additionalProperties: false,
    examples: [{ email: 'ada@example.com', code: '482913' }],
  },
)

export const VerifiedEmail = Type.Object(
  {
    email: Type.String({ maxLength: 254, examples: ['ada@example.com'] }),
    purpose: Type.Enum(['register', 'verify_email', 'change_email'], {
      type: 'string',
      description: 'Whether an account has begun, its address was verified, or changed',
      examples: ['verify_email'],
    }),
  },
  { title: 'VerifiedEmail' },
)

export const ResetPasswordRequest = Type.Object(
  { ...proofFields, new_password: NewPasswordField },
  { title: 'ResetPasswordRequest', additionalProperties: false },
)

export const UndoEmailChangeRequest = Type.Object(
  { token: TokenField },
  { title: 'UndoEmailChangeRequest', additionalProperties: false },
)

/** The same for an address that is known and one that is not. */
export const Accepted = Type.Object(
  {
    detail: Type.String({
      maxLength: 1024,
      examples: ['If an account waits for it, a mail is on its way to this address'],
    }),
  },
  { title: 'Accepted' },
)

/** Of what answers 202 whether or not anybody has the address. */
export const accepted = success(Accepted, 'Answered alike whether or not an account has the address')
export const ASKING_PROBLEMS = [
  ...INPUT_PROBLEMS,
  'too_many_requests',
  'email_unavailable',
  'database_unavailable',
] as const

/** Of what takes a link or a code. */
export const BRINGING_PROBLEMS = [
  ...INPUT_PROBLEMS,
  'email_token_invalid',
  'email_token_used',
  'too_many_requests',
  'database_unavailable',
] as const
