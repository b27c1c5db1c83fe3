import type { IncomingHttpHeaders } from 'node:http'

/** RFC 6750 section 2.1, the scheme in any case (RFC 9110 section 11.1). */
const BEARER = /^bearer(?: +(.*))?$/i

/** The bearer token of a request; undefined when it carries none. */
export function bearerToken({ headers }: { headers: IncomingHttpHeaders }): string | undefined {
  const match = BEARER.exec(headers.authorization ?? '')
  return match ? (match[1] ?? '') : undefined
}
