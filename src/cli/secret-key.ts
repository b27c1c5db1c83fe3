import type { Secrets } from '../core/security/secrets.ts'
import { findKeptSecretKey } from '../core/settings/kept-secret-key.ts'
import type { CheckedSettings } from '../core/settings.ts'
import { CommandFailure } from './failures.ts'

/** The same with the one before it, which opens what is not sealed anew yet. */
export const getSecrets = (settings: CheckedSettings): Secrets => ({
  secretKey: getSecretKey(settings),
  secretKeyPrevious: settings.secretKeyPrevious,
})

/**
 * The server's secret, for commands that need it; none is made.
 * @throws CommandFailure when there is none; StartupError when the one that is kept cannot be read
 */
export function getSecretKey({ secretKey, database }: CheckedSettings): string {
  const found = secretKey ?? (database.kind === 'sqlite' ? findKeptSecretKey(database.file) : undefined)
  if (found === undefined) {
    throw new CommandFailure(
      'There is no secret key yet: set SECRET_KEY, or start the server once to have one made',
    )
  }
  return found
}
