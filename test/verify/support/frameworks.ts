import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HonoContext } from '../../../packages/verify/src/hono.ts'
import type { AccessClaims } from '../../../packages/verify/src/index.ts'

type Next = (error?: unknown) => void
export type ExpressHandler = (
  request: IncomingMessage & { claims?: AccessClaims },
  response: ServerResponse,
  next: Next,
) => unknown
export type ExpressApp = {
  (request: IncomingMessage, response: ServerResponse): void
  get(path: string, ...handlers: ExpressHandler[]): unknown
}

export type HonoHandler = (
  context: HonoContext,
  next: () => Promise<void>,
) => Response | Promise<Response | undefined>
export type HonoApp = {
  get(path: string, ...handlers: HonoHandler[]): unknown
  fetch(request: Request): Response | Promise<Response>
}

/** Express itself where it is installed, else what calls handlers as its documentation says. */
export async function createExpress(): Promise<ExpressApp> {
  const real = await load<{ default: () => ExpressApp }>('express')
  return real ? real.default() : likeExpress()
}

/** Hono itself where it is installed, else what calls handlers as its documentation says. */
export async function createHono(): Promise<HonoApp> {
  const real = await load<{ Hono: new () => HonoApp }>('hono')
  return real ? new real.Hono() : likeHono()
}

const load = <Module>(name: string): Promise<Module | undefined> =>
  import(name).catch((error: { code?: string }) => {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
    return undefined
  })

/** Each handler calls `next` for the following one, or with an error; one that rejects does that too (Express 5). */
function likeExpress(): ExpressApp {
  const routes = new Map<string, ExpressHandler[]>()
  const app = (request: IncomingMessage, response: ServerResponse) => {
    const left = [...(routes.get(String(request.url?.split('?')[0])) ?? [])]
    const next: Next = (error) => {
      const handler = left.shift()
      if (error !== undefined || !handler) response.writeHead(error === undefined ? 404 : 500).end()
      else Promise.resolve(handler(request, response, next)).catch(next)
    }
    next()
  }
  return Object.assign(app, {
    get: (path: string, ...handlers: ExpressHandler[]) => routes.set(path, handlers),
  })
}

/** Each handler returns a Response, or awaits `next` for that of the following one. */
function likeHono(): HonoApp {
  const routes = new Map<string, HonoHandler[]>()
  return {
    get: (path, ...handlers) => routes.set(path, handlers),
    async fetch(request) {
      const left = [...(routes.get(new URL(request.url).pathname) ?? [])]
      const values = new Map<string, AccessClaims>()
      let response: Response | undefined
      const context = {
        req: { header: (name: string) => request.headers.get(name) ?? undefined },
        get: (name: string) => values.get(name),
        set: (name: string, value: AccessClaims) => void values.set(name, value),
      }
      const next = async (): Promise<void> => {
        response = (await left.shift()?.(context, next)) ?? response
      }
      try {
        await next()
        return response ?? new Response('', { status: 404 })
      } catch {
        return new Response('', { status: 500 })
      }
    },
  }
}
