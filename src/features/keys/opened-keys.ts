import type { Timestamp } from '../../core/clock.ts'
import type { SigningKey } from '../../core/security/keyring.ts'
import type { Secrets } from '../../core/security/secrets.ts'
import type { Db } from '../../database/tables.ts'
import { isAccepted } from './key-states.ts'
import type { StoredSigningKey } from './queries.ts'
import { foreignKey, resealSigningKey, toSigningKey, unsealPrivateJwk } from './stored-keys.ts'

/** The signing keys that this process could open. */
type OpenedKeys = {
  byKid: ReadonlyMap<string, SigningKey>
  /** Opens those in use that are new: one that cannot be opened stops no other. Gives why the last such one cannot. */
  open(found: readonly StoredSigningKey[], now: Timestamp): unknown
  /** Seals with SECRET_KEY what SECRET_KEY_PREVIOUS had sealed: again with the next call where that failed. */
  reseal(db: Db, now: Timestamp): Promise<void>
}

export function createOpenedKeys(secrets: Secrets): OpenedKeys {
  const byKid = new Map<string, SigningKey>()
  const sealedWithPrevious = new Set<SigningKey>()
  const open = (stored: StoredSigningKey) => {
    const unsealed = unsealPrivateJwk(stored, secrets)
    if (!unsealed) throw foreignKey(stored.kid)
    const key = toSigningKey(stored, unsealed.plaintext)
    byKid.set(key.kid, key)
    if (unsealed.isOfPrevious) sealedWithPrevious.add(key)
  }
  return {
    byKid,
    open(found, now) {
      let failure: unknown
      for (const stored of found.filter((key) => isAccepted(key, now) && !byKid.has(key.kid))) {
        try {
          open(stored)
        } catch (error) {
          failure = error
        }
      }
      return failure
    },
    async reseal(db, now) {
      for (const key of sealedWithPrevious) {
        await resealSigningKey(db, key, { now, secretKey: secrets.secretKey })
        sealedWithPrevious.delete(key)
      }
    },
  }
}
