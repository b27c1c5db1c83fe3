import cookie from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { SECOND } from '../core/clock.ts'
import type { Settings } from '../core/settings.ts'
import type { App } from './app-type.ts'

export const REFRESH_COOKIE = '__Host-postern_refresh'
/** The `__Host-` prefix demands Secure, the root path and no domain (RFC 6265bis section 4.1.3.2). */
const ATTRIBUTES = { httpOnly: true, secure: true, sameSite: 'strict', path: '/' } as const

/** Lets the routes of this scope read and set cookies. */
export async function acceptCookies(app: App): Promise<void> {
  await app.register(cookie)
}

/** The refresh token that the browser keeps where scripts cannot reach it. */
export const readRefreshCookie = ({ cookies }: FastifyRequest): string | undefined => cookies[REFRESH_COOKIE]

export function setRefreshCookie(
  reply: FastifyReply,
  refreshToken: string,
  { refreshTokenTtlMs }: Pick<Settings, 'refreshTokenTtlMs'>,
): void {
  reply.setCookie(REFRESH_COOKIE, refreshToken, { ...ATTRIBUTES, maxAge: refreshTokenTtlMs / SECOND })
}

export function clearRefreshCookie(reply: FastifyReply): void {
  reply.clearCookie(REFRESH_COOKIE, ATTRIBUTES)
}
