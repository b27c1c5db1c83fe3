import type { Context } from '../../context.ts'
import { generateSigningKey } from '../../core/security/keyring.ts'
import { currentOf, scheduledOf, signerOf, waitingOf } from './key-states.ts'
import { listSigningKeys, type StoredSigningKey } from './queries.ts'
import { type KeyContext, publishKey } from './stored-keys.ts'
import { type Succession, succeed } from './succession.ts'

/** What a server does now and then: sees to the next key, and lets it take over from one that has signed for long enough. */
export async function rotateOldKeys(
  context: Pick<Context, 'database' | 'clock' | 'settings'>,
): Promise<void> {
  const { keyRotationMs } = context.settings
  await prepareNextKey(context)
  if (keyRotationMs > 0) await rotateKeys(context, keyRotationMs)
}

/**
 * Sees to it that a key waits which is published already, so that the next rotation, or the end of a leaked key, finds every
 * API knowing it. Of several nodes at it one makes it.
 */
async function prepareNextKey(context: KeyContext): Promise<void> {
  const { database, clock } = context
  const found = await listSigningKeys(database.db)
  const signer = signerOf(found, clock.now())
  if (!signer || waitingOf(found)) return
  const made = await generateSigningKey(signer.algorithm)
  await database.runAlone(async (trx) => {
    const keys = await listSigningKeys(trx)
    const algorithm = signerOf(keys, clock.now())?.algorithm
    if (algorithm === made.algorithm && !waitingOf(keys)) await publishKey(context, trx, made, null)
  })
}

/**
 * Lets the next key take over, once it has been published for long enough. Of several at it, at once or one after the other,
 * all get the one that does.
 * @param olderThanMs for how long the current key must have signed
 * @returns undefined when it has not, or there is none: with HS256
 */
export async function rotateKeys(
  context: KeyContext,
  olderThanMs = 0,
): Promise<(Succession & { wasSetBefore: boolean }) | undefined> {
  const { database, clock } = context
  const isDue = (current: StoredSigningKey) => clock.now() - Number(current.signs_from) >= olderThanMs
  const found = await listSigningKeys(database.db)
  const signing = currentOf(found, clock.now())
  if (!signing || !isDue(signing)) return undefined
  const generate = () => generateSigningKey(signing.algorithm)
  const made = waitingOf(found) ? undefined : await generate()
  return database.runAlone(async (trx) => {
    const now = clock.now()
    const keys = await listSigningKeys(trx)
    const scheduled = scheduledOf(keys, now)
    if (scheduled) return { key: scheduled, at: Number(scheduled.signs_from), wasSetBefore: true }
    const current = currentOf(keys, now)
    if (!current || !isDue(current)) return undefined
    // One that waited when it was looked at may have been revoked since.
    const next = waitingOf(keys) ?? made ?? (await generate())
    return { ...(await succeed(context, trx, current, next)), wasSetBefore: false }
  })
}
