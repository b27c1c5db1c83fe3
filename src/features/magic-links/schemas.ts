import { Type } from 'typebox'
import { DeviceTokenField } from '../auth/schemas.ts'
import { proofFields } from '../email-tokens/schemas.ts'

const RequestTokenField = Type.String({
  minLength: 1,
  maxLength: 512,
  description: 'Keep it until the sign-in: neither link nor code works without. Browsers have it in a cookie',
  examples: ['q8Zb1m2Xv7c0LrT5yUeWnA3sDfGhJkPo9iMbVxQzR4E'],
})

export const SignInRequested = Type.Object(
  {
    detail: Type.String({
      maxLength: 1024,
      examples: ['If an account has this address, a mail is on its way to it'],
    }),
    request_token: Type.Optional(RequestTokenField),
  },
  { title: 'SignInRequested' },
)

export const RedeemRequest = Type.Object(
  {
    ...proofFields,
    request_token: Type.Optional(RequestTokenField),
    device_token: Type.Optional(DeviceTokenField),
  },
  { title: 'SignInByMailRequest', additionalProperties: false },
)
