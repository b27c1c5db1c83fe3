import { type FieldError, PROBLEMS, type ProblemCode } from '../core/problems.ts'

export const PROBLEM_MEDIA_TYPE = 'application/problem+json'

const BEARER = 'Bearer realm="postern"'

/** RFC 6750 section 3: what is asked for, with one parameter at least. `error` only where a token was sent. */
const CHALLENGES: Partial<Record<ProblemCode, string>> = {
  not_authenticated: BEARER,
  invalid_credentials: BEARER,
  refresh_token_invalid: BEARER,
  refresh_token_reused: BEARER,
  access_token_invalid: `${BEARER}, error="invalid_token"`,
  token_sent_twice: `${BEARER}, error="invalid_request"`,
  not_enough_permissions: `${BEARER}, error="insufficient_scope"`,
  insufficient_scope: `${BEARER}, error="insufficient_scope"`,
  // RFC 9470 section 3
  reauthentication_required: `${BEARER}, error="insufficient_user_authentication", max_age="300"`,
}

/** What `WWW-Authenticate` says with a problem; undefined where it is not sent. */
export function challengeOf(code: ProblemCode, scope?: string): string | undefined {
  const challenge = CHALLENGES[code]
  return challenge && scope !== undefined ? `${challenge}, scope="${scope}"` : challenge
}

export type Occurrence = {
  publicUrl: string
  /** The path that was asked for, as a URI reference. */
  instance: string
  requestId: string
  errors?: FieldError[] | undefined
}

/** What a client is told of a problem (RFC 9457 section 3). */
export const problemBody = (code: ProblemCode, { publicUrl, instance, requestId, errors }: Occurrence) => ({
  type: `${publicUrl}/problems/${code}`,
  title: PROBLEMS[code].title,
  status: PROBLEMS[code].status,
  detail: PROBLEMS[code].detail,
  code,
  instance,
  request_id: requestId,
  ...(errors && { errors }),
})
