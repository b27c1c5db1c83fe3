import type { Context } from '../../context.ts'
import { isEmailShaped, usernameKey } from '../users/names.ts'
import { findOpenRegistration, type Registration } from './queries.ts'

/**
 * Who registered with a name and has not verified their address yet. By an address nobody is found: whether an account has
 * it decides which password would count, so that who registers with somebody's address could tell.
 */
export async function findWaitingRegistration(
  { settings, db, clock }: Pick<Context, 'settings' | 'db' | 'clock'>,
  identifier: string,
): Promise<Registration | undefined> {
  if (!settings.email.requireVerification || isEmailShaped(identifier) || identifier.includes('\0')) {
    return undefined
  }
  return findOpenRegistration(db, { username: usernameKey(identifier) }, clock.now())
}
