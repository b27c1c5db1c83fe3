import type { Context } from '../../context.ts'
import type { App } from '../../http/app-type.ts'
import { currentUser } from '../../http/dependencies.ts'
import { AUTHENTICATION_PROBLEMS, INPUT_PROBLEMS, NoContent, problems, success } from '../../http/schemas.ts'
import { endOwnSession } from './end-sessions.ts'
import { listSessions } from './list-sessions.ts'
import { SessionPage, SessionPageQuery, SessionParams } from './schemas.ts'

export async function sessionsRouter(app: App, context: Context): Promise<void> {
  app.get(
    '/users/me/sessions',
    {
      schema: {
        operationId: 'listOwnSessions',
        tags: ['sessions'],
        summary: 'Where you are signed in',
        description: 'Your live sessions, newest first, a page at a time.',
        security: [{ bearer: [] }],
        querystring: SessionPageQuery,
        response: {
          200: success(SessionPage, 'A page of your sessions'),
          ...problems(...AUTHENTICATION_PROBLEMS, 'validation_failed'),
        },
      },
    },
    async (request) => {
      const { id: userId, session_id: currentSessionId } = await currentUser(context, request)
      const { cursor, limit } = request.query
      return listSessions(context, { userId, currentSessionId, cursor: cursor?.toLowerCase(), limit })
    },
  )

  app.delete(
    '/users/me/sessions/:id',
    {
      schema: {
        operationId: 'endOwnSession',
        tags: ['sessions'],
        summary: 'Sign one session out',
        description: 'Its tokens are dead at once, this one included when it is the current.',
        security: [{ bearer: [] }],
        params: SessionParams,
        response: {
          204: success(NoContent, 'Signed out'),
          ...problems(...INPUT_PROBLEMS, ...AUTHENTICATION_PROBLEMS, 'session_not_found'),
        },
      },
    },
    async (request, reply) => {
      const { id: userId } = await currentUser(context, request)
      // Some clients write ids in capitals (RFC 9562 section 4 lets them); SQLite compares them as text.
      const sessionId = request.params.id.toLowerCase()
      await endOwnSession(context, { userId, sessionId, caller: request.caller })
      return reply.code(204).send(null)
    },
  )
}
