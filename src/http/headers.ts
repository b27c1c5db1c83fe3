import cors from '@fastify/cors'
import type { Settings } from '../core/settings.ts'
import type { App } from './app-type.ts'
import { allowedOrigins } from './origins.ts'

/** OWASP's REST security headers: replies are data, never pages. What is a page says otherwise for itself. */
const STRICT_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=63072000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

/** What every reply carries, and which other origins may read it. */
export async function registerHeaders(app: App, settings: Settings): Promise<void> {
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(STRICT_HEADERS).header('x-request-id', request.id)
    done()
  })
  if (settings.corsOrigins.length > 0) {
    const allowed = allowedOrigins(settings)
    await app.register(cors, {
      // Any other origin gets no CORS header at all.
      origin: async (origin: string | undefined) => origin !== undefined && allowed.includes(origin),
      credentials: true,
      strictPreflight: false,
      methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
      allowedHeaders: ['authorization', 'content-type', 'x-request-id'],
      exposedHeaders: ['ratelimit', 'ratelimit-policy', 'retry-after', 'www-authenticate', 'x-request-id'],
      maxAge: 600,
    })
  }
}
