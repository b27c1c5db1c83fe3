import cookie from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { SECOND } from '../core/clock.ts'
import type { Settings } from '../core/settings.ts'
import { DEVICE_TTL_MS } from '../features/auth/devices.ts'
import { ttlMsOf } from '../features/email-tokens/tokens.ts'
import type { App } from './app-type.ts'

export const REFRESH_COOKIE = '__Host-postern_refresh'
const SIGN_IN_COOKIE = '__Host-postern_sign_in'
export const DEVICE_COOKIE = '__Host-postern_device'
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

/** The token by which this browser is known to have signed in before. */
export const readDeviceCookie = ({ cookies }: FastifyRequest): string | undefined => cookies[DEVICE_COOKIE]

export function setDeviceCookie(reply: FastifyReply, deviceToken: string): void {
  reply.setCookie(DEVICE_COOKIE, deviceToken, { ...ATTRIBUTES, maxAge: DEVICE_TTL_MS / SECOND })
}

/** What this browser was given when it asked for a mail that signs in. */
export const readSignInCookie = ({ cookies }: FastifyRequest): string | undefined => cookies[SIGN_IN_COOKIE]

export function setSignInCookie(reply: FastifyReply, requestToken: string): void {
  reply.setCookie(SIGN_IN_COOKIE, requestToken, { ...ATTRIBUTES, maxAge: ttlMsOf('sign_in') / SECOND })
}
