import type { Timestamp } from '../../core/clock.ts'
import { generateSigningKey } from '../../core/security/keyring.ts'
import type { Db } from '../../database/tables.ts'
import { recordEvent } from '../audit/events.ts'
import { insertRevocations } from '../revocation/queries.ts'
import { currentOf, scheduledOf, stateOf, waitingOf } from './key-states.ts'
import { listSigningKeys, type StoredSigningKey, updateSigningKey } from './queries.ts'
import { describeKey, type KeyContext, listKeysInUse, publishKey } from './stored-keys.ts'
import { endSigning, type Succession } from './succession.ts'

/**
 * Drops a key that has leaked: nothing that it signed is believed any more. When it signs, the next one does from now on.
 * @returns what takes over, if it signed; undefined when there is no such key that could be revoked
 */
export async function revokeKey(
  context: KeyContext,
  kid: string,
): Promise<{ successor: Succession | undefined } | undefined> {
  const { database, clock } = context
  const found = await listSigningKeys(database.db)
  const algorithm = waitingOf(found) ? undefined : found.find((key) => key.kid === kid)?.algorithm
  // An RSA key takes a while: not while others wait for the lock.
  const made = algorithm && (await generateSigningKey(algorithm))
  return database.runAlone(async (trx) => {
    const now = clock.now()
    const keys = await listSigningKeys(trx)
    const leaked = keys.find((key) => key.kid === kid && key.revoked_at === null)
    if (!leaked) return undefined
    await drop(trx, [leaked], now)
    if (leaked === scheduledOf(keys, now)) await endSigning(trx, currentOf(keys, now), null)
    if (stateOf(leaked, now) !== 'current') return { successor: undefined }
    const next = scheduledOf(keys, now) ?? waitingOf(keys)
    const key =
      next ?? (await publishKey(context, trx, made ?? (await generateSigningKey(leaked.algorithm)), now))
    await updateSigningKey(trx, key.kid, { signs_from: now, signs_until: null })
    return { successor: { key, at: now } }
  })
}

/**
 * Drops every key, in the caller's transaction: no token there is is believed any more, whoever made it. A server that finds
 * itself without one makes another.
 * @returns whether one of them signed: with HS256 none does
 */
export async function revokeAllKeys(trx: Db, now: Timestamp): Promise<boolean> {
  const keys = await listKeysInUse(trx, now)
  await drop(trx, keys, now)
  return currentOf(keys, now) !== undefined
}

async function drop(trx: Db, keys: readonly StoredSigningKey[], now: Timestamp): Promise<void> {
  for (const key of keys) {
    await updateSigningKey(trx, key.kid, { revoked_at: now })
    await recordEvent(trx, now, { type: 'key.revoked', detail: describeKey(key) })
  }
  await insertRevocations(
    trx,
    'key',
    keys.map(({ kid }) => kid),
  )
}
