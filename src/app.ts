import type { Socket } from 'node:net'
import fastify, { type FastifyBaseLogger, LogController } from 'fastify'
import type { Context } from './context.ts'
import { newId } from './core/ids.ts'
import { auditRouter } from './features/audit/router.ts'
import { authRouter } from './features/auth/router.ts'
import { emailPagesRouter } from './features/email-pages/router.ts'
import { emailRouter } from './features/email-tokens/router.ts'
import { healthRouter } from './features/health/router.ts'
import { keysRouter } from './features/keys/router.ts'
import { magicLinksRouter } from './features/magic-links/router.ts'
import { mailboxRouter } from './features/mailbox/router.ts'
import { metricsRouter } from './features/metrics/router.ts'
import { discoveryRouter, oauthRouter } from './features/oauth/router.ts'
import { passwordsRouter } from './features/passwords/router.ts'
import { revocationRouter } from './features/revocation/router.ts'
import { sessionsRouter } from './features/sessions/router.ts'
import { usersRouter } from './features/users/router.ts'
import type { App } from './http/app-type.ts'
import { registerBodyParsers } from './http/body-parsers.ts'
import { answerUnreadable, type UnreadableError } from './http/client-errors.ts'
import { refuseSecondTokens, rememberCallers } from './http/dependencies.ts'
import { trustProxy, watchForwarding } from './http/forwarding.ts'
import { registerHeaders } from './http/headers.ts'
import { createLimits } from './http/limits.ts'
import { trackMethods } from './http/methods.ts'
import { registerOpenApi } from './http/openapi.ts'
import { problemDocsRouter } from './http/problem-docs.ts'
import { answerUnroutable, registerProblems } from './http/problems.ts'
import { logRequests } from './http/request-log.ts'
import { measureRequests } from './http/request-metrics.ts'
import { traceRequests } from './http/request-trace.ts'
import { REQUEST_ID } from './http/schemas.ts'
import { registerValidation } from './http/validation.ts'

const MAX_BODY_BYTES = 64 * 1024
/** For a whole request to arrive. */
const REQUEST_TIMEOUT_MS = 15_000
/** Longer than load balancers keep idle connections, so that it is they who close. */
const KEEP_ALIVE_MS = 75_000

/** Builds the app: plugins, then every router. The caller listens, and closes. */
export async function createApp(context: Context, loggerInstance: FastifyBaseLogger): Promise<App> {
  const { settings } = context
  const app: App = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    // What still comes in on an open connection while stopping is served, not turned away.
    return503OnClosing: false,
    trustProxy: trustProxy(context.settings),
    requestIdHeader: false,
    genReqId: ({ headers }) => {
      const id = headers['x-request-id']
      return typeof id === 'string' && REQUEST_ID.test(id) ? id : newId()
    },
    frameworkErrors: answerUnroutable(context),
    clientErrorHandler: (error: UnreadableError, socket: Socket) => answerUnreadable(error, socket, context),
  })

  const allowedMethods = trackMethods(app)
  registerProblems(app, context, allowedMethods)
  registerValidation(app)
  registerBodyParsers(app)
  rememberCallers(app)
  refuseSecondTokens(app)
  watchForwarding(app, context)
  logRequests(app)
  measureRequests(app, context)
  traceRequests(app, context)
  await registerHeaders(app, settings)
  registerOpenApi(app, settings)

  const limits = createLimits(context)
  await app.register((scope: App) => healthRouter(scope, context))
  await app.register((scope: App) => keysRouter(scope, context))
  await app.register((scope: App) => discoveryRouter(scope, context))
  await app.register((scope: App) => problemDocsRouter(scope))
  await app.register((scope: App) => metricsRouter(scope, context))
  await app.register((scope: App) => mailboxRouter(scope, context))
  await app.register((scope: App) => emailPagesRouter(scope, context, limits))
  await app.register(
    async (api: App) => {
      await api.register((scope: App) => authRouter(scope, context, limits))
      await api.register((scope: App) => emailRouter(scope, context, limits))
      await api.register((scope: App) => passwordsRouter(scope, context, limits))
      await api.register((scope: App) => magicLinksRouter(scope, context, limits))
      await api.register((scope: App) => usersRouter(scope, context, limits))
      await api.register((scope: App) => sessionsRouter(scope, context))
      await api.register((scope: App) => oauthRouter(scope, context, limits))
      await api.register((scope: App) => revocationRouter(scope, context, limits))
      await api.register((scope: App) => auditRouter(scope, context))
    },
    { prefix: settings.apiPrefix },
  )
  await app.ready()
  return app
}
