import type { SigningKey } from '../../core/security/keyring.ts'
import { waitingOf } from './key-states.ts'
import { listSigningKeys } from './queries.ts'
import { discardKey, type KeyContext, publishKey } from './stored-keys.ts'

/**
 * Publishes a key that was made elsewhere; it takes over at the next rotation, in place of the one that waited for that.
 * @returns false when it is known already
 */
export function importKey(context: KeyContext, key: SigningKey): Promise<boolean> {
  return context.database.runAlone(async (trx) => {
    const keys = await listSigningKeys(trx)
    if (keys.some(({ kid }) => kid === key.kid)) return false
    const waiting = waitingOf(keys)
    if (waiting) await discardKey(context, trx, waiting)
    await publishKey(context, trx, key, null)
    return true
  })
}
