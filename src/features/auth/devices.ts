import type { Context } from '../../context.ts'
import { DAY, toSeconds } from '../../core/clock.ts'
import { newNonce, type UserId } from '../../core/ids.ts'
import type { DeviceClaims } from '../../core/security/tokens.ts'

/** From the last sign-in on: the longest that browsers keep a cookie (RFC 6265bis section 5.5). */
export const DEVICE_TTL_MS = 400 * DAY

/**
 * A token by which this device is known when this user signs in again. It opens nothing: sign-ins from the device are
 * counted by themselves.
 * @param known the device, if it has a token already
 */
export function issueDeviceToken(
  { tokens, clock }: Pick<Context, 'tokens' | 'clock'>,
  userId: UserId,
  known: DeviceClaims | undefined,
): string {
  const now = clock.now()
  return tokens.signDevice({
    sub: userId,
    jti: known?.jti ?? newNonce(),
    iat: toSeconds(now),
    exp: toSeconds(now + DEVICE_TTL_MS),
    type: 'device',
  })
}

/** The device, if this user has signed in from it before. */
export function findKnownDevice(
  { tokens }: Pick<Context, 'tokens'>,
  deviceToken: string | undefined,
  userId: UserId | undefined,
): DeviceClaims | undefined {
  const device = deviceToken === undefined ? undefined : tokens.verifyDevice(deviceToken)
  return device?.sub === userId ? device : undefined
}
