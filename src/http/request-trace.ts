import type { Context } from '../context.ts'
import type { RequestTrace } from '../core/tracing.ts'
import type { App } from './app-type.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined when it is not traced. */
    trace: RequestTrace | undefined
  }
}

/** Gives every request a span, and its log lines the id of its trace. */
export function traceRequests(app: App, { tracing }: Pick<Context, 'tracing'>): void {
  if (!tracing) return
  app.decorateRequest('trace')
  app.addHook('onRequest', (request, _reply, done) => {
    const trace = tracing.begin(request.headers)
    if (!trace) return done()
    request.trace = trace
    request.log = request.log.child({ trace_id: trace.id })
    trace.run(done)
  })
  // What follows once the body has arrived is not what followed from the headers.
  app.addHook('preValidation', (request, _reply, done) => {
    if (request.trace) request.trace.run(done)
    else done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    if (request.trace) {
      const { method, id: requestId, caller, routeOptions } = request
      const route = routeOptions.url ?? 'unknown'
      request.trace.end({ method, route, status: reply.statusCode, requestId, userId: caller.userId })
    }
    done()
  })
}
