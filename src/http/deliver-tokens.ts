import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'
import { endReplacedSession } from '../features/auth/logout.ts'
import type { TokenPair } from '../features/sessions/issue-tokens.ts'
import { readRefreshCookie, setDeviceCookie, setRefreshCookie } from './cookies.ts'

/** The reply with what is to be kept in the body or, for browsers, in cookies. */
export function deliverTokens(
  { settings }: Pick<Context, 'settings'>,
  reply: FastifyReply,
  tokens: TokenPair & { device_token?: string },
  transport: 'body' | 'cookie' | undefined,
) {
  reply.header('pragma', 'no-cache')
  if (transport !== 'cookie') return tokens
  const { refresh_token, device_token, ...rest } = tokens
  setRefreshCookie(reply, refresh_token, settings)
  if (device_token !== undefined) setDeviceCookie(reply, device_token)
  return rest
}

/** The same for who has just signed in: the session whose cookie the new one takes the place of ends. */
export async function deliverSignIn(
  context: Context,
  request: FastifyRequest,
  reply: FastifyReply,
  tokens: TokenPair & { device_token?: string },
  transport: 'body' | 'cookie' | undefined,
) {
  const replaced = transport === 'cookie' ? readRefreshCookie(request) : undefined
  if (replaced !== undefined) await endReplacedSession(context, replaced, request.caller)
  return deliverTokens(context, reply, tokens, transport)
}
