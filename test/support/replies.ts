import assert from 'node:assert/strict'
import { Problem } from '../../src/core/problems.ts'
import type { Reply } from '../kit.ts'

type Expected = {
  status: number
  code: string
  detail?: string
  /** The whole WWW-Authenticate header; left out, there must be none. */
  challenge?: string
  /** JSON Pointers of the invalid fields, in any order; left out, there must be none. */
  pointers?: string[]
}

/** Checks a problem reply (RFC 9457) whole: media type, every member and nothing more, and the headers of all errors. */
export function assertProblem(reply: Reply, { status, code, detail, challenge, pointers }: Expected): void {
  assert.equal(reply.body?.code ?? reply.text, code)
  assert.equal(reply.status, status)
  assert.equal(reply.headers['content-type'], 'application/problem+json; charset=utf-8')
  const { type, title, instance, request_id, errors, ...rest } = reply.body
  assert.deepEqual(rest, { status, code, detail: detail ?? rest.detail })
  assert.ok(type.endsWith(`/problems/${code}`), type)
  assert.match(title, /^\S.*\S$/)
  assert.match(instance, /^\/[^?]*$/)
  assert.equal(request_id, reply.headers['x-request-id'])
  assert.equal(reply.headers['cache-control'], 'no-store')
  assert.equal(reply.headers['www-authenticate'], challenge)
  assert.deepEqual(errors?.map((error: { pointer: string }) => error.pointer).sort(), pointers?.sort())
}

/** What something is refused with; undefined when it is let through. Any other error is thrown. */
export async function problemOf(deed: Promise<unknown>): Promise<Problem | undefined> {
  try {
    await deed
    return undefined
  } catch (error) {
    if (error instanceof Problem) return error
    throw error
  }
}

const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** Checks a reply with tokens whole, with the refresh token in the body. */
export function assertTokenPair(reply: Reply, expiresIn = 1800): void {
  assert.equal(reply.status, 200, reply.text)
  assertUncached(reply)
  assert.equal(reply.headers.pragma, 'no-cache')
  const { access_token, refresh_token, device_token, ...rest } = reply.body
  assert.deepEqual(rest, { token_type: 'bearer', expires_in: expiresIn })
  for (const token of [access_token, refresh_token]) assert.match(token, JWT)
  // A refresh says nothing new of the device.
  if (device_token !== undefined) assert.match(device_token, JWT)
}

export function assertUncached(reply: Reply): void {
  assert.equal(reply.headers['content-type'], 'application/json; charset=utf-8')
  assert.equal(reply.headers['cache-control'], 'no-store')
}

/** A reply that says nothing but that it is done. */
export function assertDone(reply: Reply): void {
  assert.equal(reply.status, 204, reply.text)
  assert.equal(reply.text, '')
  assert.equal(reply.headers['content-type'], undefined)
  assert.equal(reply.headers['cache-control'], 'no-store')
}

export const NOT_AUTHENTICATED = {
  status: 401,
  code: 'not_authenticated',
  detail: 'Could not validate credentials',
  challenge: 'Bearer realm="postern"',
}
export const ACCESS_TOKEN_INVALID = {
  status: 401,
  code: 'access_token_invalid',
  detail: 'Could not validate credentials',
  challenge: 'Bearer realm="postern", error="invalid_token"',
}
export const TOKEN_SENT_TWICE = {
  status: 400,
  code: 'token_sent_twice',
  detail: 'Send the access token in the Authorization header, and nowhere else',
  challenge: 'Bearer realm="postern", error="invalid_request"',
}
export const NOT_ENOUGH_PERMISSIONS = {
  status: 403,
  code: 'not_enough_permissions',
  detail: 'Not enough permissions',
  challenge: 'Bearer realm="postern", error="insufficient_scope"',
}
export const INVALID_CREDENTIALS = {
  status: 401,
  code: 'invalid_credentials',
  detail: 'Incorrect username or password',
  challenge: 'Bearer realm="postern"',
}
export const REFRESH_TOKEN_INVALID = {
  status: 401,
  code: 'refresh_token_invalid',
  detail: 'Invalid refresh token',
  challenge: 'Bearer realm="postern"',
}
export const USERNAME_TAKEN = {
  status: 400,
  code: 'username_taken',
  detail: 'Username already registered',
}
export const EMAIL_TAKEN = { status: 400, code: 'email_taken', detail: 'Email already registered' }
export const INACTIVE_USER = { status: 400, code: 'inactive_user', detail: 'Inactive user' }
export const CURRENT_PASSWORD_INCORRECT = {
  status: 400,
  code: 'current_password_incorrect',
  detail: 'Current password is incorrect',
}
