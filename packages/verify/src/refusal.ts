import type { TokenError } from './token-error.ts'

/** A reply to a request that is not let in. */
export type Refusal = { status: number; headers: Readonly<Record<string, string>>; body: string }

/** How soon to try again when it cannot be told whether a token is good. */
const RETRY_AFTER_SECONDS = '1'

const TITLES = { 401: 'Unauthorized', 403: 'Forbidden', 503: 'Service Unavailable' } as const

/**
 * Says why: in headers for HTTP clients (RFC 6750 section 3), in the body for programs (RFC 9457).
 * @throws TypeError when the names cannot stand in a header
 */
export function createRefuse({
  realm = 'api',
  scope,
}: {
  realm?: string | undefined
  scope?: string | undefined
}): (error: TokenError) => Refusal {
  if (!isQuotable(realm)) throw new TypeError('@postern/verify: realm must be plain text without quotes')
  if (scope !== undefined && !isScope(scope)) {
    throw new TypeError('@postern/verify: scope must be names with one space between them')
  }
  return ({ code, status, message }) => ({
    status,
    headers: {
      'content-type': 'application/problem+json; charset=utf-8',
      'cache-control': 'no-store',
      ...(status === 503
        ? { 'retry-after': RETRY_AFTER_SECONDS }
        : { 'www-authenticate': challenge(code, realm, scope) }),
    },
    body: JSON.stringify({ type: 'about:blank', title: TITLES[status], status, detail: message, code }),
  })
}

/** `error` only where a token was sent. */
function challenge(code: TokenError['code'], realm: string, scope: string | undefined): string {
  const error = code === 'insufficient_scope' ? code : 'invalid_token'
  const parameters = [
    `realm="${realm}"`,
    ...(code === 'token_missing' ? [] : [`error="${error}"`]),
    ...(scope === undefined ? [] : [`scope="${scope}"`]),
  ]
  return `Bearer ${parameters.join(', ')}`
}

const isQuotable = (text: string): boolean => /^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/.test(text)

/** RFC 6749 section 3.3. */
const isScope = (text: string): boolean => text.split(' ').every((name) => name !== '' && isQuotable(name))
