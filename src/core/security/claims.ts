/** What an access token says (RFC 9068 section 2.2). Times are NumericDates: whole seconds. */
export type AccessClaims = Readonly<{
  iss: string
  aud: string
  sub: string
  /** The session. */
  sid: string
  jti: string
  iat: number
  exp: number
  auth_time: number
  amr: readonly string[]
  client_id: string
  scope: string
  type: 'access'
}>

/** What a refresh token says. No `iss`: a changed public URL signs nobody out. */
export type RefreshClaims = Readonly<{
  sub: string
  sid: string
  /** How often the session had been refreshed when the token was issued. */
  gen: number
  iat: number
  exp: number
  type: 'refresh'
}>

/** What a device token says: somebody has signed in as `sub` from this device. It signs nobody in. */
export type DeviceClaims = Readonly<{
  sub: string
  /** The device, from its first sign-in on. */
  jti: string
  iat: number
  exp: number
  type: 'device'
}>

/** Claims as they came, perhaps with the time from which they hold (`nbf`, RFC 7519 section 4.1.5). */
export type Payload<Claims> = Claims & { readonly nbf?: number }

type Untrusted<Claims> = { readonly [Name in keyof Payload<Claims>]?: unknown }

/** The claims alone, frozen, in the order in which they are signed. */
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

/** The claims alone, frozen, in the order in which they are signed. */
export const refreshClaims = (claims: RefreshClaims): RefreshClaims =>
  Object.freeze({
    sub: claims.sub,
    sid: claims.sid,
    gen: claims.gen,
    iat: claims.iat,
    exp: claims.exp,
    type: claims.type,
  })

/** The claims alone, frozen, in the order in which they are signed. */
export const deviceClaims = (claims: DeviceClaims): DeviceClaims =>
  Object.freeze({
    sub: claims.sub,
    jti: claims.jti,
    iat: claims.iat,
    exp: claims.exp,
    type: claims.type,
  })

/** Whether a payload has every claim of an access token in its exact type (RFC 9068 section 4). */
export function isAccessClaims(payload: unknown): payload is Payload<AccessClaims> {
  if (!isObject<AccessClaims>(payload)) return false
  return (
    payload.type === 'access' &&
    [payload.iss, payload.aud, payload.sub, payload.sid, payload.jti].every(isName) &&
    [payload.iat, payload.exp, payload.auth_time].every(isCount) &&
    isOptionalCount(payload.nbf) &&
    [payload.client_id, payload.scope].every(isString) &&
    Array.isArray(payload.amr) &&
    payload.amr.every(isName)
  )
}

/** Whether a payload has every claim of a refresh token in its exact type. */
export function isRefreshClaims(payload: unknown): payload is Payload<RefreshClaims> {
  if (!isObject<RefreshClaims>(payload)) return false
  return (
    payload.type === 'refresh' &&
    [payload.sub, payload.sid].every(isName) &&
    [payload.gen, payload.iat, payload.exp].every(isCount) &&
    isOptionalCount(payload.nbf)
  )
}

/** Whether a payload has every claim of a device token in its exact type. */
export function isDeviceClaims(payload: unknown): payload is Payload<DeviceClaims> {
  if (!isObject<DeviceClaims>(payload)) return false
  return (
    payload.type === 'device' &&
    [payload.sub, payload.jti].every(isName) &&
    [payload.iat, payload.exp].every(isCount) &&
    isOptionalCount(payload.nbf)
  )
}

const isObject = <Claims>(value: unknown): value is Untrusted<Claims> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isString = (value: unknown): value is string => typeof value === 'string'

const isName = (value: unknown): value is string => isString(value) && value !== ''

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0

const isOptionalCount = (value: unknown): boolean => value === undefined || isCount(value)
