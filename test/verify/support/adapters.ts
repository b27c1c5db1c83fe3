import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TestContext } from 'node:test'
import createExpress, { type RequestHandler } from 'express'
import fastify from 'fastify'
import { type Handler, Hono } from 'hono'
import * as express from '../../../packages/verify/src/express.ts'
import * as forFastify from '../../../packages/verify/src/fastify.ts'
import * as hono from '../../../packages/verify/src/hono.ts'
import type { AccessClaims, Verifier } from '../../../packages/verify/src/index.ts'
import * as node from '../../../packages/verify/src/node.ts'
import * as web from '../../../packages/verify/src/web.ts'
import { serve, serveWeb } from './servers.ts'

type Judge = Pick<Verifier, 'verify'>

/**
 * Starts an API that is protected by an adapter; its address. `/me` tells who is calling, `/orders` does so for whoever has
 * `orders:read`, `/admin` for whoever has `admin`, `/both` for whoever has `orders:read` and `profile`.
 */
export type StartApi = (t: TestContext, verifier: Judge) => Promise<string>

const SHOP = { realm: 'shop' }
const BOTH = { scope: 'orders:read profile' }

const startNode: StartApi = (t, verifier) => {
  const authenticate = node.authenticate(verifier)
  const authenticateBoth = node.authenticate(verifier, { ...BOTH, ...SHOP })
  const mayRead = node.requireScope('orders:read')
  const isAdmin = node.requireScope('admin', SHOP)
  const handle = async (request: IncomingMessage & { claims?: AccessClaims }, response: ServerResponse) => {
    const isLetIn = request.url === '/both' ? authenticateBoth : authenticate
    const claims = await isLetIn(request, response)
    if (!claims) return
    if (request.url === '/orders' && !mayRead(request, response)) return
    if (request.url === '/admin' && !isAdmin(request, response)) return
    response.end(request.claims?.sub)
  }
  return serve(t, (request, response) => {
    handle(request, response).catch(() => response.writeHead(500).end())
  })
}

const startWeb: StartApi = (t, verifier) => {
  const authenticate = web.authenticate(verifier)
  const authenticateBoth = web.authenticate(verifier, { ...BOTH, ...SHOP })
  const mayRead = web.requireScope('orders:read')
  const isAdmin = web.requireScope('admin', SHOP)
  return serveWeb(t, async (request) => {
    const { pathname } = new URL(request.url)
    try {
      const { claims, response } = await (pathname === '/both' ? authenticateBoth : authenticate)(request)
      if (response) return response
      const refusal = new Map(Object.entries({ '/orders': mayRead, '/admin': isAdmin })).get(pathname)?.(
        claims,
      )
      return refusal ?? new Response(claims.sub)
    } catch {
      return new Response('', { status: 500 })
    }
  })
}

const startFastify: StartApi = async (t, verifier) => {
  const app = fastify()
  await app.register(async (api) => {
    await api.register(forFastify.posternVerify, { verifier })
    api.get('/me', async ({ claims }) => claims.sub)
    api.get(
      '/orders',
      { onRequest: forFastify.requireScope('orders:read') },
      async ({ claims }) => claims.sub,
    )
    api.get('/admin', { onRequest: forFastify.requireScope('admin', SHOP) }, async ({ claims }) => claims.sub)
  })
  const both = forFastify.authenticate(verifier, { ...BOTH, ...SHOP })
  app.get('/both', { onRequest: both }, async ({ claims }) => claims.sub)
  t.after(() => app.close())
  return app.listen({ host: '127.0.0.1', port: 0 })
}

const startExpress: StartApi = async (t, verifier) => {
  const app = createExpress()
  const authenticate = express.authenticate(verifier)
  const tell: RequestHandler = (request: IncomingMessage & { claims?: AccessClaims }, response) =>
    void response.end(request.claims?.sub)
  app.get('/me', authenticate, tell)
  app.get('/orders', authenticate, express.requireScope('orders:read'), tell)
  app.get('/admin', authenticate, express.requireScope('admin', SHOP), tell)
  app.get('/both', express.authenticate(verifier, { ...BOTH, ...SHOP }), tell)
  return serve(t, app)
}

const startHono: StartApi = async (t, verifier) => {
  const app = new Hono<{ Variables: { claims: AccessClaims } }>()
  const authenticate = hono.authenticate(verifier)
  const tell: Handler<{ Variables: { claims: AccessClaims } }> = (context) =>
    new Response(context.get('claims').sub)
  app.get('/me', authenticate, tell)
  app.get('/orders', authenticate, hono.requireScope('orders:read'), tell)
  app.get('/admin', authenticate, hono.requireScope('admin', SHOP), tell)
  app.get('/both', hono.authenticate(verifier, { ...BOTH, ...SHOP }), tell)
  return serveWeb(t, async (request) => app.fetch(request))
}

export const ADAPTERS: Readonly<Record<string, StartApi>> = {
  node: startNode,
  express: startExpress,
  fastify: startFastify,
  hono: startHono,
  web: startWeb,
}
