import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import type { Settings } from '../core/settings.ts'
import type { App } from './app-type.ts'
import { allowedOrigins } from './origins.ts'

/** What every reply carries, and which other origins may read it. */
export async function registerHeaders(app: App, settings: Settings): Promise<void> {
  app.addHook('onRequest', async (request, reply) => {
    // Routes whose replies hold nothing personal say otherwise.
    reply.headers({ 'x-request-id': request.id, 'cache-control': 'no-store' })
  })
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        'default-src': ["'none'"],
        'base-uri': ["'none'"],
        'form-action': ["'none'"],
        'frame-ancestors': ["'none'"],
      },
    },
    strictTransportSecurity: { maxAge: 63_072_000, includeSubDomains: true },
    xFrameOptions: { action: 'deny' },
  })
  await app.register(cookie)
  if (settings.corsOrigins.length > 0) {
    const allowed = allowedOrigins(settings)
    await app.register(cors, {
      // Any other origin gets no CORS header at all.
      origin: async (origin: string | undefined) => origin !== undefined && allowed.includes(origin),
      credentials: true,
      strictPreflight: false,
      methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
      allowedHeaders: ['authorization', 'content-type', 'x-request-id'],
      exposedHeaders: ['retry-after', 'www-authenticate', 'x-request-id'],
      maxAge: 600,
    })
  }
}
