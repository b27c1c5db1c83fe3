import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'
import type { App } from './app-type.ts'
import { isStream } from './event-stream.ts'
import { METHODS } from './methods.ts'

type Meter = ReturnType<Context['metrics']['route']>

/** The one label of all paths that lead nowhere, and of all methods that none of ours answers. */
const UNKNOWN = 'unknown'

/** Undefined for a stream, which lasts for as long as its reader likes. */
const secondsOf = (reply: FastifyReply): number | undefined =>
  isStream(reply) ? undefined : reply.elapsedTime / 1000

/** Counts and times every request by its route's template: what clients make up gets no label of its own. */
export function measureRequests(app: App, { metrics }: Pick<Context, 'metrics'>): void {
  app.addHook('onRoute', (route) => {
    const methods = [route.method].flat()
    const meters = new Map<string, Meter>(methods.map((method) => [method, metrics.route(method, route.url)]))
    const measure = (request: FastifyRequest, reply: FastifyReply, done: () => void) => {
      meters.get(request.method)?.(reply.statusCode, secondsOf(reply))
      done()
    }
    route.onResponse = [route.onResponse ?? [], measure].flat()
  })
  const nowhere = new Map<string, Meter>(METHODS.map((method) => [method, metrics.route(method, UNKNOWN)]))
  const otherwise = metrics.route(UNKNOWN, UNKNOWN)
  app.addHook('onResponse', (request, reply, done) => {
    if (request.is404) {
      const measure = nowhere.get(request.method) ?? otherwise
      measure(reply.statusCode, secondsOf(reply))
    }
    done()
  })
}
