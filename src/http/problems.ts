import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'
import { PROBLEMS, Problem, type ProblemCode } from '../core/problems.ts'
import type { App } from './app-type.ts'
import { challengeOf, PROBLEM_MEDIA_TYPE, problemBody } from './problem-body.ts'
import { validationErrors } from './validation.ts'

/** What Fastify refuses by itself, by its error code. */
const FASTIFY_PROBLEMS: Record<string, ProblemCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_request',
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed_request',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed_request',
  FST_ERR_BAD_URL: 'malformed_request',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
}

/** What a problem is told with, and who counts it. */
type Told = Pick<Context, 'settings' | 'metrics'>

/** The one place where errors become replies (RFC 9457). */
export function registerProblems(app: App, context: Told, allowedMethods: (path: string) => string[]): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = toProblem(error)
    logProblem(request, problem, error)
    return sendProblem(request, reply, problem, context)
  })
  const answerUnknown = (request: FastifyRequest, reply: FastifyReply) => {
    const allowed = allowedMethods(pathOf(request.url))
    if (allowed.length > 0) reply.header('allow', allowed.join(', '))
    const problem = new Problem(allowed.length > 0 ? 'method_not_allowed' : 'not_found')
    return sendProblem(request, reply, problem, context)
  }
  app.setNotFoundHandler(answerUnknown)
  // Before the body is read: what is wrong with it does not matter where nothing takes it.
  app.addHook('preParsing', (request, reply, payload, done) => {
    if (request.is404) answerUnknown(request, reply)
    else done(null, payload)
  })
}

/** Answers what Fastify refuses before it looks for a route: no hook has run, and none will. */
export const answerUnroutable =
  (context: Told) =>
  (error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const problem = toProblem(error)
    logProblem(request, problem, error)
    reply.headers({
      'x-request-id': request.id,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    return sendProblem(request, reply, problem, context)
  }

function toProblem(error: FastifyError): Problem {
  if (error instanceof Problem) return error
  if (error.validation) return new Problem('validation_failed', { errors: validationErrors(error) })
  const code = FASTIFY_PROBLEMS[error.code]
  if (code) return new Problem(code, { cause: error })
  const isClients = error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500
  return new Problem(isClients ? 'malformed_request' : 'internal_error', { cause: error })
}

/** What every reply to a problem has, whatever it looks like. */
export function setProblem(
  reply: FastifyReply,
  { code, retryAfterSeconds }: Problem,
  { metrics }: Pick<Told, 'metrics'>,
): FastifyReply {
  metrics.problem(code)
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds))
  return reply.code(PROBLEMS[code].status)
}

/** Writes down what went wrong, where it is more than a client's mistake. */
export function logProblem({ log }: FastifyRequest, { code, cause, context }: Problem, error: Error): void {
  const { status } = PROBLEMS[code]
  if (status >= 500) log.error({ err: cause ?? error, code, context }, 'request failed')
  else log.debug({ err: cause, code, context }, 'request refused')
}

function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  problem: Problem,
  context: Told,
): FastifyReply {
  const { code, errors, scope } = problem
  const { publicUrl } = context.settings
  const challenge = challengeOf(code, scope)
  if (challenge) reply.header('www-authenticate', challenge)
  const instance = toUriReference(pathOf(request.url))
  return setProblem(reply, problem, context)
    .header('content-type', `${PROBLEM_MEDIA_TYPE}; charset=utf-8`)
    .serializer(JSON.stringify)
    .send(problemBody(code, { publicUrl, instance, requestId: request.id, errors }))
}

/** The path of a request target (RFC 9112 section 3.2) without its query, which might hold what must not be repeated. */
export const pathOf = (target: string): string =>
  target.replace(/^https?:\/\/[^/?#]*/i, '').split('?', 1)[0] ?? ''

/** Encodes what no URI may hold (RFC 3986 section 2), and clients send all the same. */
const toUriReference = (path: string): string =>
  path.replaceAll(/%(?![\da-f]{2})|[^\w.~!$&'()*+,;=:@/%-]/gi, encodeURIComponent)
