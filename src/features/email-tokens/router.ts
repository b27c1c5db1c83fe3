import type { Context } from '../../context.ts'
import type { App } from '../../http/app-type.ts'
import { bearerToken } from '../../http/bearer-token.ts'
import { acceptForms } from '../../http/body-parsers.ts'
import { currentUser } from '../../http/dependencies.ts'
import type { Limits } from '../../http/limits.ts'
import { admitMail, admitPasswordOf, admitProof } from '../../http/mail-limits.ts'
import { AUTHENTICATION_PROBLEMS, FORM_OR_JSON, NoContent, problems, success } from '../../http/schemas.ts'
import { undoEmailChange } from '../users/change-email.ts'
import { checkEmail } from '../users/names.ts'
import { toEmailProof } from './email-proof.ts'
import {
  ASKING_PROBLEMS,
  accepted,
  BRINGING_PROBLEMS,
  EmailRequest,
  UndoEmailChangeRequest,
  VerifiedEmail,
  VerifyEmailRequest,
} from './schemas.ts'
import { resendVerification, verifyEmail } from './verify-email.ts'

/** Verifies addresses, and takes changes back. Asking is answered with 202 whether or not anybody has the address. */
export async function emailRouter(app: App, context: Context, limits: Limits): Promise<void> {
  await acceptForms(app)

  app.post(
    '/auth/verify-email',
    {
      schema: {
        operationId: 'verifyEmail',
        tags: ['email'],
        consumes: FORM_OR_JSON,
        summary: 'Verify an address by what was sent there',
        description:
          'Send the token of the link, or the address and the code. Begins the account that waits for it, marks the address as verified, or puts it in the place of the old one. Whoever reads the mail may be somebody else than whose account it is: a registration needs the password that was registered; a new address, and where addresses are verified first any other, the password of the account, or the access token of who is signed in to it. Without what is needed, link and code stay as they were.',
        security: [{}, { bearer: [] }],
        body: VerifyEmailRequest,
        response: {
          200: success(VerifiedEmail, 'Verified'),
          ...problems(
            ...BRINGING_PROBLEMS,
            ...AUTHENTICATION_PROBLEMS,
            'registration_password_incorrect',
            'current_password_incorrect',
            'too_many_failures',
            'email_taken',
            'username_taken',
            'server_busy',
          ),
        },
      },
    },
    async (request, reply) => {
      const { caller, body } = request
      await admitProof(limits, { caller, reply }, 'account', body)
      const hasBearer = bearerToken(request) !== undefined
      const signedIn = hasBearer ? (await currentUser(context, request)).id : undefined
      const admitPassword = admitPasswordOf(limits, { caller, reply })
      const { password } = body
      return verifyEmail(context, { proof: toEmailProof(body), password, admitPassword, signedIn, caller })
    },
  )

  app.post(
    '/auth/verify-email/resend',
    {
      schema: {
        operationId: 'resendVerification',
        tags: ['email'],
        consumes: FORM_OR_JSON,
        summary: 'Send the mail that verifies an address once more',
        description: 'The link and the code that were sent before end.',
        body: EmailRequest,
        response: { 202: accepted, ...problems(...ASKING_PROBLEMS) },
      },
    },
    async (request, reply) => {
      const { caller } = request
      const email = checkEmail(request.body.email)
      await admitMail(limits, { caller, reply }, 'verify', email)
      await resendVerification(context, email, caller)
      return reply
        .code(202)
        .send({ detail: 'If this address waits to be verified, a mail is on its way to it' })
    },
  )

  app.post(
    '/auth/undo-email-change',
    {
      schema: {
        operationId: 'undoEmailChange',
        tags: ['email'],
        consumes: FORM_OR_JSON,
        summary: 'Give an account back to its old address',
        description:
          'For seven days after a change, by the link that the old address was sent. Every session ends, the password opens nothing any more, and a mail to the old address sets a new one.',
        body: UndoEmailChangeRequest,
        response: { 204: success(NoContent, 'Undone'), ...problems(...BRINGING_PROBLEMS, 'email_taken') },
      },
    },
    async (request, reply) => {
      const { caller, body } = request
      await admitProof(limits, { caller, reply }, 'account', {})
      await undoEmailChange(context, body.token, caller)
      return reply.code(204).send(null)
    },
  )
}
