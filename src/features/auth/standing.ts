import type { Context } from '../../context.ts'
import type { DeviceClaims } from '../../core/security/tokens.ts'
import type { Db, User } from '../../database/tables.ts'
import { type Failures, findFailures } from '../passwords/failure-queries.ts'
import {
  accountKeys,
  failureKeyOf,
  type Throttled,
  type Try,
  throttledDevices,
  throttledName,
} from '../passwords/throttle.ts'
import { holdNames, NAME_KEYS } from '../users/email-queries.ts'
import { findKnownDevice } from './devices.ts'

/** What is known of who tries to sign in, before their password is looked at. */
export type Standing = {
  /** Undefined when this user has not signed in from it before, or too much has failed on their devices. */
  device: DeviceClaims | undefined
  throttled: Throttled
  /** Those in a row so far. */
  failures: Failures | undefined
  /** All failures of the account, by its names and its devices, which a success ends. */
  endedBySuccess: Failures[]
}

/** Takes the place of a user where there is none, so that it takes the same time. */
const NOBODY = { id: '00000000-0000-0000-0000-000000000000', username_key: '', email_key: '' }

/** Finds whether the device is known and whose failures count: those of the user's devices, or those of the name. */
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
  const devices = device && throttledDevices(context, device.sub)
  const rows = await findFailures(context.db, [name.key, ...accountKeys(context, user ?? NOBODY)])
  const failuresOf = (throttled: Throttled) => rows.find(({ key }) => key === throttled.key)
  const isKnown = devices !== undefined && (failuresOf(devices)?.failures ?? 0) < devices.most
  const throttled = isKnown ? devices : name
  return {
    device: isKnown ? device : undefined,
    throttled,
    failures: failuresOf(throttled),
    endedBySuccess: rows,
  }
}

/**
 * The try, at what the account is called by now: whoever renames it while a password is looked at would try that for nothing.
 * Keeps it from being renamed until the transaction ends.
 */
export async function followName<Tried extends Try>(
  context: Context,
  trx: Db,
  tried: Tried,
  user: User | undefined,
): Promise<Tried> {
  const before = user ?? NOBODY
  const after = await holdNames(trx, before.id)
  const { throttled } = tried
  const name = NAME_KEYS.find((name) => failureKeyOf(context, before[name]) === throttled.key)
  if (!after || !name) return tried
  return { ...tried, throttled: { ...throttled, key: failureKeyOf(context, after[name]) } }
}
