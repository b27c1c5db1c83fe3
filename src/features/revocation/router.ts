import type { Context } from '../../context.ts'
import type { App } from '../../http/app-type.ts'
import { hasScope, requireScope } from '../../http/dependencies.ts'
import { sendEvents, wantsEvents } from '../../http/event-stream.ts'
import { addressOf, type Limits } from '../../http/limits.ts'
import { AUTHENTICATION_PROBLEMS, problems, success } from '../../http/schemas.ts'
import { listRevocations } from './list-revocations.ts'
import { createStreams } from './open-streams.ts'
import { RevocationPage, RevocationQuery } from './schemas.ts'
import { streamRevocations } from './stream-revocations.ts'

const SCOPE = 'revocations:read'

export async function revocationRouter(app: App, context: Context, limits: Limits): Promise<void> {
  const streams = createStreams(context)
  // Those who follow would be waited for: they go on at another node.
  app.addHook('preClose', async () => streams.close())

  app.get(
    '/revocations',
    {
      schema: {
        operationId: 'listRevocations',
        tags: ['revocation'],
        summary: 'Whose access tokens are not to be believed any more, though they have not expired',
        description:
          'For APIs that verify tokens by themselves, with a service key or a token that has the scope `revocations:read`. A page; or with `Accept: text/event-stream` a stream of Server-Sent Events that goes on from `Last-Event-ID`: `snapshot` where it begins anew, `revocation` for each, and every 10 seconds `heartbeat`, which says that all that ended until `at` has been told.',
        security: [{ bearer: [] }],
        querystring: RevocationQuery,
        response: {
          200: success(RevocationPage, 'A page of the feed, or a stream'),
          ...problems(
            ...AUTHENTICATION_PROBLEMS,
            'insufficient_scope',
            'validation_failed',
            'too_many_requests',
            'server_busy',
          ),
        },
      },
    },
    async (request, reply) => {
      const { caller, headers, query } = request
      await limits.take({ caller, reply }, 'revocations-address', [addressOf(caller)])
      await requireScope(context, request, SCOPE)
      if (!wantsEvents(request)) return listRevocations(context, query)
      const stream = streams.open()
      const lastId = headers['last-event-id']
      const after = typeof lastId === 'string' ? lastId : query.after
      const mayRead = () => hasScope(context, request, SCOPE)
      const events = streamRevocations(context, { after, signal: stream.signal, mayRead })
      return sendEvents(reply, events, stream) as never
    },
  )
}
