import type { AsymmetricAlgorithm } from '../../core/security/algorithms.ts'
import { generateSigningKey, type SigningKey } from '../../core/security/keyring.ts'
import type { Db } from '../../database/tables.ts'
import { recordEvent } from '../audit/events.ts'
import { currentOf, signerOf, stateOf } from './key-states.ts'
import { listSigningKeys, type StoredSigningKey, updateSigningKey } from './queries.ts'
import { describeKey, discardKey, type KeyContext, publishKey } from './stored-keys.ts'
import { endSigning, SPREAD_MS, succeed } from './succession.ts'

/** HS256 is for the key that is derived from SECRET_KEY: no stored one signs then. */
type AlgorithmContext = KeyContext & { settings: { algorithm: AsymmetricAlgorithm | 'HS256' } }

/**
 * Lets a key of ALGORITHM take over from the one that signs: the one that waits, or a new one; and discards those of another
 * that wait to do so. Without one that signs, it signs at once.
 */
export async function settleAlgorithm(context: AlgorithmContext): Promise<void> {
  const {
    database,
    clock,
    settings: { algorithm },
  } = context
  const isSettled = (keys: readonly StoredSigningKey[]) =>
    (signerOf(keys, clock.now())?.algorithm ?? 'HS256') === algorithm
  if (isSettled(await listSigningKeys(database.db))) return
  // Making an RSA key takes a while: not while others wait for the lock.
  const made = algorithm === 'HS256' ? undefined : await generateSigningKey(algorithm)
  await database.runAlone(async (trx) => {
    const keys = await listSigningKeys(trx)
    if (isSettled(keys)) return
    const now = clock.now()
    // Of a key that is about to sign not every node may hear in time that it is gone: it signs first.
    const soon = now + SPREAD_MS
    const waiting = keys.filter((key) => stateOf(key, soon) === 'next')
    for (const key of waiting.filter((key) => key.algorithm !== algorithm))
      await discardKey(context, trx, key)
    const next = waiting.find((key) => key.algorithm === algorithm) ?? made
    const current = currentOf(keys, soon)
    if (!next) await endSigning(trx, current, Math.max(now, Number(current?.signs_from)))
    else if (!current) await resume(context, trx, keys, next)
    else if (current.algorithm === algorithm) await endSigning(trx, current, null)
    else await succeed(context, trx, current, next)
  })
}

/** Lets the key sign again that did until a node was told of HS256; else the next one does. */
async function resume(
  context: KeyContext,
  trx: Db,
  keys: readonly StoredSigningKey[],
  next: StoredSigningKey | SigningKey,
): Promise<void> {
  const now = context.clock.now()
  const former = keys.findLast((key) => stateOf(key, now) === 'previous' && key.algorithm === next.algorithm)
  if (former) await endSigning(trx, former, null)
  else if ('created_at' in next) {
    await updateSigningKey(trx, next.kid, { signs_from: now })
    const detail = { ...describeKey(next), signs_from: new Date(now).toISOString() }
    await recordEvent(trx, now, { type: 'key.rotated', detail })
  } else await publishKey(context, trx, next, now)
}
