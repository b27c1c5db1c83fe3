/** What an access token says (RFC 9068 section 2.2). Times are NumericDates: whole seconds. */
export type AccessClaims = Readonly<{
  iss: string
  aud: string
  /** The user. */
  sub: string
  /** The session. */
  sid: string
  jti: string
  iat: number
  exp: number
  /** When the user signed in. */
  auth_time: number
  /** How (RFC 8176). */
  amr: readonly string[]
  client_id: string
  /** Names with spaces between them, or nothing. */
  scope: string
  type: 'access'
}>

type Payload = AccessClaims & { readonly nbf?: number }
type Untrusted = { readonly [Name in keyof Payload]?: unknown }

/** The claims alone, frozen. */
export const accessClaims = (claims: AccessClaims): AccessClaims =>
  Object.freeze({
    iss: claims.iss,
    aud: claims.aud,
    sub: claims.sub,
    sid: claims.sid,
    jti: claims.jti,
    iat: claims.iat,
    exp: claims.exp,
    auth_time: claims.auth_time,
    amr: Object.freeze([...claims.amr]),
    client_id: claims.client_id,
    scope: claims.scope,
    type: claims.type,
  })

/** Whether a payload has every claim of an access token in its exact type (RFC 9068 section 4). */
export function isAccessClaims(payload: unknown): payload is Payload {
  if (!isObject(payload)) return false
  return (
    payload.type === 'access' &&
    [payload.iss, payload.aud, payload.sub, payload.sid, payload.jti].every(isName) &&
    [payload.iat, payload.exp, payload.auth_time].every(isCount) &&
    (payload.nbf === undefined || isCount(payload.nbf)) &&
    [payload.client_id, payload.scope].every(isString) &&
    Array.isArray(payload.amr) &&
    payload.amr.every(isName)
  )
}

/** Whether the token has every scope of a list with spaces between them. */
export function hasScope(claims: Pick<AccessClaims, 'scope'>, scope: string): boolean {
  const granted = claims.scope.split(' ')
  return scope.split(' ').every((name) => granted.includes(name))
}

/** Whether a value is a whole number from zero on. */
export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0

/** Whether a value is a text that is not empty. */
export const isName = (value: unknown): value is string => isString(value) && value !== ''

const isObject = (value: unknown): value is Untrusted =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isString = (value: unknown): value is string => typeof value === 'string'
