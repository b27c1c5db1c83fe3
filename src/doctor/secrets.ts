import { StartupError } from '../core/problems.ts'
import { findKeptSecretKey } from '../core/settings/kept-secret-key.ts'
import type { CheckedSettings, Settings } from '../core/settings.ts'
import { NotLookedAt } from './check.ts'

/**
 * What opens that which is sealed in the database.
 * @throws NotLookedAt when there is no secret
 */
export function getSecrets({
  secretKey,
  secretKeyPrevious,
  database,
}: CheckedSettings): Pick<Settings, 'secretKey' | 'secretKeyPrevious'> {
  const found = secretKey ?? (database.kind === 'sqlite' ? findUsable(database.file) : undefined)
  if (found === undefined) throw new NotLookedAt('there is no secret to open them with')
  return { secretKey: found, secretKeyPrevious }
}

/** What is wrong with it is what the group `secret` tells. */
function findUsable(databaseFile: string): string | undefined {
  try {
    return findKeptSecretKey(databaseFile)
  } catch (error) {
    if (error instanceof StartupError) return undefined
    throw error
  }
}
