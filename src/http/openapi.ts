import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '../core/problems.ts'
import type { Settings } from '../core/settings.ts'
import type { App } from './app-type.ts'
import type { DescribedRoute } from './docs-app.ts'
import type { OpenApiDocument } from './openapi-document.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The routes in OpenAPI 3.1. */
    openApi(): Promise<OpenApiDocument>
  }
}

/** What a file server looks at. */
const PASSED_IN = ['if-modified-since', 'if-none-match', 'if-range', 'range']
/** What a reply of the docs has of itself; the connection's own headers are ours to write. */
const PASSED_ON = [
  'accept-ranges',
  'cache-control',
  'content-range',
  'content-security-policy',
  'content-type',
  'etag',
  'last-modified',
  'location',
]

/**
 * Serves the description of every route that follows, as JSON and as a page. What that takes is loaded when it is first
 * asked for: most processes never are, and it would be a good part of their start.
 */
export function registerOpenApi(app: App, settings: Settings): void {
  const routes: DescribedRoute[] = []
  app.addHook('onRoute', ({ method, url, schema, preValidation }) => {
    if (method === 'HEAD' || !schema?.operationId) return
    routes.push({ method, url, schema, ...(preValidation && { preValidation }) })
  })
  let loading: Promise<FastifyInstance> | undefined
  const load = () => {
    loading ??= import('./docs-app.ts').then(({ createDocsApp }) => createDocsApp(settings, routes))
    return loading
  }
  app.addHook('onClose', async () => (await loading)?.close())
  app.decorate('openApi', async () => (await load()).swagger() as unknown as OpenApiDocument)

  const answer = async (request: FastifyRequest, reply: FastifyReply) => {
    const { method, url } = request
    const docs = await load()
    const headers = pick(request.headers, PASSED_IN)
    const found = await docs.inject({ method: method as 'GET' | 'HEAD', url, headers })
    if (found.statusCode === 404) throw new Problem('not_found')
    return reply.code(found.statusCode).headers(pick(found.headers, PASSED_ON)).send(found.rawPayload)
  }
  const hidden = { schema: { hide: true } }
  app.get('/docs', hidden, answer)
  app.get('/docs/*', hidden, answer)
  app.get(`${settings.apiPrefix}/openapi.json`, hidden, answer)
}

const pick = <Value>(headers: Record<string, Value>, names: string[]): Record<string, NonNullable<Value>> =>
  Object.fromEntries(names.flatMap((name) => (headers[name] ? [[name, headers[name]]] : [])))
