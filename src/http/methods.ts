import createRouter, { type HTTPMethod } from 'find-my-way'
import type { App } from './app-type.ts'

export const METHODS: HTTPMethod[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/**
 * Remembers every route, because Fastify itself answers 404 to a path that exists under another method.
 * @returns the methods that a path answers, for the Allow header (RFC 9110 section 15.5.6); empty for an unknown path
 */
export function trackMethods(app: App): (path: string) => HTTPMethod[] {
  const routes = createRouter({ ignoreTrailingSlash: false })
  app.addHook('onRoute', ({ method, url }) => {
    // What answers every path, as CORS does to OPTIONS, makes no path exist.
    if (url === '*') return
    for (const name of [method].flat() as HTTPMethod[]) {
      if (!routes.hasRoute(name, url)) routes.on(name, url, () => undefined)
    }
  })
  return (path) => METHODS.filter((method) => routes.find(method, path))
}
