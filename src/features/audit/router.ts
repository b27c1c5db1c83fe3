import type { Context } from '../../context.ts'
import { invalidField } from '../../core/problems.ts'
import type { App } from '../../http/app-type.ts'
import { currentSuperuser, currentUser } from '../../http/dependencies.ts'
import { AUTHENTICATION_PROBLEMS, problems, success } from '../../http/schemas.ts'
import { listEvents, listOwnEvents } from './list-events.ts'
import { AuditPage, AuditQuery, OwnEventPage, OwnEventQuery } from './schemas.ts'

export async function auditRouter(app: App, context: Context): Promise<void> {
  app.get(
    '/users/me/security-events',
    {
      schema: {
        operationId: 'listOwnSecurityEvents',
        tags: ['audit'],
        summary: 'What happened to your account',
        description: 'Sign-ins, failures, changes and more, newest first, a page at a time.',
        security: [{ bearer: [] }],
        querystring: OwnEventQuery,
        response: {
          200: success(OwnEventPage, 'A page of what concerns you'),
          ...problems(...AUTHENTICATION_PROBLEMS, 'validation_failed'),
        },
      },
    },
    async (request) => {
      const { id } = await currentUser(context, request)
      const { cursor, limit } = request.query
      return listOwnEvents(context, id, { cursor: cursor?.toLowerCase(), limit })
    },
  )

  app.get(
    '/admin/audit',
    {
      schema: {
        operationId: 'listAuditEvents',
        tags: ['audit'],
        summary: 'Everything that concerns safety',
        description: 'For superusers: every event, newest first, a page at a time.',
        security: [{ bearer: [] }],
        querystring: AuditQuery,
        response: {
          200: success(AuditPage, 'A page of events'),
          ...problems(...AUTHENTICATION_PROBLEMS, 'validation_failed', 'not_enough_permissions'),
        },
      },
    },
    async (request) => {
      await currentSuperuser(context, request)
      const { type, user, actor, since, until, cursor, limit } = request.query
      const filter = {
        type,
        userId: user?.toLowerCase(),
        actorId: actor?.toLowerCase(),
        since: toTime('/since', since),
        until: toTime('/until', until),
      }
      return listEvents(context, filter, { cursor: cursor?.toLowerCase(), limit })
    },
  )
}

/** Leap seconds are well formed, and no time that JavaScript knows. */
function toTime(pointer: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const time = Date.parse(text)
  if (Number.isNaN(time)) throw invalidField(pointer, 'is no time that can be compared')
  return time
}
