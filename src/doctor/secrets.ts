import { findSecretKey } from '../core/settings/kept-secret-key.ts'
import type { CheckedSettings, Settings } from '../core/settings.ts'
import { NotLookedAt } from './check.ts'

/**
 * What opens that which is sealed in the database.
 * @throws NotLookedAt when there is no secret
 */
export function getSecrets(settings: CheckedSettings): Pick<Settings, 'secretKey' | 'secretKeyPrevious'> {
  const secretKey = findSecretKey(settings)
  if (secretKey === undefined) throw new NotLookedAt('there is no secret to open them with')
  return { secretKey, secretKeyPrevious: settings.secretKeyPrevious }
}
