import type { App } from './app-type.ts'
import { pathOf } from './problems.ts'

/** A line must fit into what a pipe takes in one piece. */
const MAX_PATH = 1024

/** One line a request, when it has been answered. Without the query: it might hold what must not be kept. */
export function logRequests(app: App): void {
  app.addHook('onResponse', (request, reply, done) => {
    request.log.info(
      {
        method: request.method,
        path: pathOf(request.url).slice(0, MAX_PATH),
        status: reply.statusCode,
        ip: request.caller.ip,
        user_id: request.caller.userId,
        ms: Math.round(reply.elapsedTime * 10) / 10,
      },
      'request',
    )
    done()
  })
}
