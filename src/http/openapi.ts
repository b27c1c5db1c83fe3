import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '../core/problems.ts'
import type { Settings } from '../core/settings.ts'
import type { App } from './app-type.ts'
import type { DescribedRoute } from './docs-app.ts'
import type { OpenApiDocument } from './openapi-document.ts'
import { pathOf } from './problems.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The routes in OpenAPI 3.1. */
    openApi(): Promise<OpenApiDocument>
  }
}

/** What a reply of the docs has of itself; the connection's own headers are ours to write. */
const PASSED_ON = [
  'cache-control',
  'content-security-policy',
  'content-type',
  'etag',
  'last-modified',
  'location',
]

/** One spelling for each file, so that no more is kept than there are files. */
const PLAIN_PATH = /^(?:\/[\w-][\w.-]*)+\/?$/

type Page = { status: number; headers: Record<string, string | number | string[]>; body: Buffer }

/**
 * Serves the description of every route that follows, as JSON and as a page. What that takes is loaded when it is first
 * asked for: most processes never are, and it would be a good part of their start. Each file is read once, and every reply
 * shares it: who asks for many and reads none of them would have many copies kept for him otherwise.
 */
export function registerOpenApi(app: App, settings: Settings): void {
  const routes: DescribedRoute[] = []
  app.addHook('onRoute', ({ method, url, schema, preValidation }) => {
    if (method === 'HEAD' || !schema?.operationId) return
    routes.push({ method, url, schema, ...(preValidation && { preValidation }) })
  })
  const load = shareOnce(async () => (await import('./docs-app.ts')).createDocsApp(settings, routes))
  app.addHook('onClose', async () => (await load.underWay()?.catch(() => undefined))?.close())
  app.decorate('openApi', async () => (await load()).swagger() as unknown as OpenApiDocument)

  const pages = new Map<string, ReturnType<typeof shareOnce<Page>>>()
  const findPage = (path: string): Promise<Page> => {
    const page = pages.get(path) ?? shareOnce(async () => readPage(await load(), path))
    pages.set(path, page)
    return page().catch((error) => {
      pages.delete(path)
      throw error
    })
  }
  const answer = async (request: FastifyRequest, reply: FastifyReply) => {
    const path = pathOf(request.url)
    if (!PLAIN_PATH.test(path)) throw new Problem('not_found')
    const { status, headers, body } = await findPage(path)
    reply.headers(headers)
    const isKnown = headers.etag !== undefined && headers.etag === request.headers['if-none-match']
    return isKnown ? reply.code(304).send() : reply.code(status).send(body)
  }
  const hidden = { schema: { hide: true } }
  app.get('/docs', hidden, answer)
  app.get('/docs/*', hidden, answer)
  app.get(`${settings.apiPrefix}/openapi.json`, hidden, answer)
}

async function readPage(docs: FastifyInstance, url: string): Promise<Page> {
  const { statusCode: status, headers, rawPayload: body } = await docs.inject({ method: 'GET', url })
  if (status === 404) throw new Problem('not_found')
  if (status >= 400) throw new Error(`The docs answered ${url} with ${status}: ${body}`)
  const kept = PASSED_ON.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]]))
  return { status, headers: Object.fromEntries(kept), body }
}

/** The same function, which does its work once for all who ask; after a failure, once more for the next. */
function shareOnce<T>(work: () => Promise<T>) {
  let result: Promise<T> | undefined
  const share = (): Promise<T> => {
    result ??= work().catch((error) => {
      result = undefined
      throw error
    })
    return result
  }
  return Object.assign(share, { underWay: () => result })
}
