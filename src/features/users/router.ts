import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import type { Context } from '../../context.ts'
import type { UserId } from '../../core/ids.ts'
import type { App } from '../../http/app-type.ts'
import { currentSuperuser, currentUser } from '../../http/dependencies.ts'
import { addressOf, type Limits } from '../../http/limits.ts'
import { admitMail } from '../../http/mail-limits.ts'
import { AUTHENTICATION_PROBLEMS, INPUT_PROBLEMS, NoContent, problems, success } from '../../http/schemas.ts'
import { deleteOwnAccount } from './delete-account.ts'
import { toProfile } from './profile.ts'
import { AdminGreeting, DeleteUserRequest, UpdateUserRequest, UserProfile } from './schemas.ts'
import { updateOwnAccount } from './update-account.ts'

export async function usersRouter(app: App, context: Context, limits: Limits): Promise<void> {
  /** Counts a current password before it is looked at. */
  const admitReauthentication = async ({ caller }: FastifyRequest, reply: FastifyReply, userId: UserId) => {
    await limits.take({ caller, reply }, 'reauthentication-address', [addressOf(caller)])
    await limits.take({ caller, reply }, 'reauthentication-account', [userId])
  }

  app.get(
    '/users/me',
    {
      schema: {
        operationId: 'getOwnProfile',
        tags: ['users'],
        summary: 'Your profile',
        description: 'Whoever the access token belongs to.',
        security: [{ bearer: [] }],
        response: { 200: success(UserProfile, 'Your profile'), ...problems(...AUTHENTICATION_PROBLEMS) },
      },
    },
    async (request) => toProfile(await currentUser(context, request)),
  )

  const updateSchema = {
    tags: ['users'],
    summary: 'Change your username, e-mail address or password',
    description:
      'A new password needs `current_password` and ends every other session. A new address needs it too, unless you signed in within the last 5 minutes, and counts once it is confirmed by the mail that is sent there: until then it is `pending_email` of the answer, and naming the present address takes it back. Fields left out stay as they are.',
    security: [{ bearer: [] }],
    body: UpdateUserRequest,
    response: {
      200: success(UserProfile, 'Your profile as it is now'),
      ...problems(
        ...INPUT_PROBLEMS,
        ...AUTHENTICATION_PROBLEMS,
        'username_taken',
        'email_taken',
        'current_password_incorrect',
        'reauthentication_required',
        'too_many_requests',
        'too_many_failures',
        'server_busy',
      ),
    },
  }
  const update = async (
    request: FastifyRequest<{ Body: Static<typeof UpdateUserRequest> }>,
    reply: FastifyReply,
  ) => {
    const current = await currentUser(context, request)
    const { body: changes, caller } = request
    if (changes.current_password !== undefined) await admitReauthentication(request, reply, current.id)
    else await limits.take({ caller, reply }, 'change-account', [current.id])
    const admitNewEmail = async (email: string) => {
      await limits.take({ caller, reply }, 'mail-user', [current.id])
      await admitMail(limits, { caller, reply }, 'change', email)
    }
    const { user, pendingEmail } = await updateOwnAccount(context, {
      current,
      changes,
      caller,
      admitMail: admitNewEmail,
    })
    return { ...toProfile(user), ...(pendingEmail !== undefined && { pending_email: pendingEmail }) }
  }
  app.put('/users/me', { schema: { ...updateSchema, operationId: 'replaceOwnProfile' } }, update)
  app.patch('/users/me', { schema: { ...updateSchema, operationId: 'updateOwnProfile' } }, update)

  app.delete(
    '/users/me',
    {
      schema: {
        operationId: 'deleteOwnAccount',
        tags: ['users'],
        summary: 'Delete your account with all that is yours',
        description: 'Every session ends, and the name and the address are free again.',
        security: [{ bearer: [] }],
        body: DeleteUserRequest,
        response: {
          204: success(NoContent, 'Deleted'),
          ...problems(
            ...INPUT_PROBLEMS,
            ...AUTHENTICATION_PROBLEMS,
            'current_password_incorrect',
            'too_many_requests',
            'too_many_failures',
            'server_busy',
          ),
        },
      },
    },
    async (request, reply) => {
      const current = await currentUser(context, request)
      await admitReauthentication(request, reply, current.id)
      const { current_password: currentPassword } = request.body
      await deleteOwnAccount(context, { current, currentPassword, caller: request.caller })
      return reply.code(204).send(null)
    },
  )

  app.get(
    '/users/admin-only',
    {
      schema: {
        operationId: 'greetSuperuser',
        tags: ['users'],
        summary: 'For superusers only',
        description: 'Shows what a route for superusers looks like.',
        security: [{ bearer: [] }],
        response: {
          200: success(AdminGreeting, 'You are one'),
          ...problems(...AUTHENTICATION_PROBLEMS, 'not_enough_permissions'),
        },
      },
    },
    async (request) => {
      const user = await currentSuperuser(context, request)
      return { message: `Hello, ${user.username}: you are a superuser`, user: toProfile(user) }
    },
  )
}
