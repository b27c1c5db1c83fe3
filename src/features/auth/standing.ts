import type { Context } from '../../context.ts'
import type { DeviceClaims } from '../../core/security/tokens.ts'
import type { User } from '../../database/tables.ts'
import { type Failures, findFailures } from '../passwords/failure-queries.ts'
import { type Throttled, throttledDevice, throttledName, throttledProof } from '../passwords/throttle.ts'
import { findKnownDevice } from './devices.ts'

/** What is known of who tries to sign in, before their password is looked at. */
export type Standing = {
  /** Undefined when this user has not signed in from it before, or too much has failed there. */
  device: DeviceClaims | undefined
  throttled: Throttled
  /** Those in a row so far. */
  failures: Failures | undefined
  /** Whose failures a success ends. */
  endedBySuccess: string[]
}

/** Finds whether the device is known and whose failures count: those of the device, or those of the name. */
export async function findStanding(
  context: Context,
  { identifier, deviceToken }: { identifier: string; deviceToken?: string | undefined },
  user: User | undefined,
): Promise<Standing> {
  const name = throttledName(context, identifier)
  const device = findKnownDevice(context, deviceToken, user?.id)
  if (!context.settings.rateLimits) {
    return { device, throttled: name, failures: undefined, endedBySuccess: [] }
  }
  const ofDevice = device && throttledDevice(context, device.sub, device.jti)
  const proof = user && throttledProof(context, user.id)
  const rows = await findFailures(context.db, {
    name: name.key,
    device: ofDevice?.key ?? name.key,
    proof: proof?.key ?? name.key,
  })
  const failuresOf = (throttled: Throttled | undefined) => rows.find(({ key }) => key === throttled?.key)
  const isKnown = ofDevice !== undefined && (failuresOf(ofDevice)?.failures ?? 0) < ofDevice.most
  const throttled = isKnown ? ofDevice : name
  const endedBySuccess = rows
    .map(({ key }) => key)
    .filter((key) => key === throttled.key || key === proof?.key)
  return { device: isKnown ? device : undefined, throttled, failures: failuresOf(throttled), endedBySuccess }
}
