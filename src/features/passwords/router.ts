import type { Context } from '../../context.ts'
import type { App } from '../../http/app-type.ts'
import { acceptForms } from '../../http/body-parsers.ts'
import type { Limits } from '../../http/limits.ts'
import { admitMail, admitProof } from '../../http/mail-limits.ts'
import { FORM_OR_JSON, NoContent, problems, success } from '../../http/schemas.ts'
import { toEmailProof } from '../email-tokens/email-proof.ts'
import {
  ASKING_PROBLEMS,
  accepted,
  BRINGING_PROBLEMS,
  EmailRequest,
  ResetPasswordRequest,
} from '../email-tokens/schemas.ts'
import { checkEmail } from '../users/names.ts'
import { requestPasswordReset, resetPassword } from './reset-password.ts'

/** For who has forgotten their password. */
export async function passwordsRouter(app: App, context: Context, limits: Limits): Promise<void> {
  await acceptForms(app)

  app.post(
    '/auth/forgot-password',
    {
      schema: {
        operationId: 'requestPasswordReset',
        tags: ['email'],
        consumes: FORM_OR_JSON,
        summary: 'Ask for a mail that sets a new password',
        description: 'A link and a code, good for an hour. Those that were sent before end.',
        body: EmailRequest,
        response: { 202: accepted, ...problems(...ASKING_PROBLEMS) },
      },
    },
    async (request, reply) => {
      const { caller } = request
      const email = checkEmail(request.body.email)
      await admitMail(limits, { caller, reply }, 'reset', email)
      await requestPasswordReset(context, email, caller)
      return reply.code(202).send({ detail: 'If an account has this address, a mail is on its way to it' })
    },
  )

  app.post(
    '/auth/reset-password',
    {
      schema: {
        operationId: 'resetPassword',
        tags: ['email'],
        consumes: FORM_OR_JSON,
        summary: 'Set a new password by what was sent to the address',
        description:
          'Send the token of the link, or the address and the code. Every session ends. What is refused as a password leaves link and code as they were.',
        body: ResetPasswordRequest,
        response: {
          204: success(NoContent, 'The new password counts from now on'),
          ...problems(...BRINGING_PROBLEMS, 'server_busy'),
        },
      },
    },
    async (request, reply) => {
      const { caller, body } = request
      await admitProof(limits, { caller, reply }, 'account', body)
      await resetPassword(context, { proof: toEmailProof(body), password: body.new_password, caller })
      return reply.code(204).send(null)
    },
  )
}
