import type { Context } from '../../context.ts'
import { SECOND, type Timestamp } from '../../core/clock.ts'
import type { AsymmetricAlgorithm } from '../../core/security/algorithms.ts'
import { generateSigningKey, type SigningKey } from '../../core/security/keyring.ts'
import type { Secrets } from '../../core/security/secrets.ts'
import type { Db } from '../../database/tables.ts'
import { recordEvent } from '../audit/events.ts'
import { insertRevocations } from '../revocation/queries.ts'
import { currentOf, PUBLISHED_FOR_MS, scheduledOf, stateOf, waitingOf } from './key-states.ts'
import { deleteSigningKey, listSigningKeys, type StoredSigningKey, updateSigningKey } from './queries.ts'
import { describeKey, storeSigningKey } from './stored-keys.ts'

/** Until every node has read what has changed: each does so every second. */
const SPREAD_MS = 5 * SECOND

/** What changing keys takes. */
export type KeyKeeper = Pick<Context, 'database' | 'clock'> & { secrets: Secrets }

/** A key that takes over, and when. */
export type Succession = { key: StoredSigningKey; at: Timestamp; wasSetBefore: boolean }

/**
 * Sees to it that a key waits which is published already, so that the next rotation, or the end of a leaked key, finds every
 * API knowing it. Of several nodes at it one makes it.
 */
async function prepareNextKey(keeper: KeyKeeper): Promise<void> {
  const { database, clock } = keeper
  const found = await listSigningKeys(database.db)
  const signer = signerOf(found, clock.now())
  if (!signer || waitingOf(found)) return
  const made = await generateSigningKey(signer.algorithm as AsymmetricAlgorithm)
  await database.runAlone(async (trx) => {
    const keys = await listSigningKeys(trx)
    const algorithm = signerOf(keys, clock.now())?.algorithm
    if (algorithm === made.algorithm && !waitingOf(keys)) await publish(keeper, trx, made, null)
  })
}

/** What a server does now and then: sees to the next key, and lets it take over from one that has signed for long enough. */
export async function rotateOldKeys(
  context: Pick<Context, 'database' | 'clock' | 'settings'>,
): Promise<void> {
  const { settings } = context
  const keeper = { ...context, secrets: settings }
  await prepareNextKey(keeper)
  if (settings.keyRotationMs > 0) await rotateKeys(keeper, settings.keyRotationMs)
}

/**
 * Lets the next key take over, once it has been published for long enough. Of several at it, at once or one after the other,
 * all get the one that does.
 * @param olderThanMs for how long the current key must have signed
 * @returns undefined when it has not, or there is none: with HS256
 */
export async function rotateKeys(keeper: KeyKeeper, olderThanMs = 0): Promise<Succession | undefined> {
  const { database, clock } = keeper
  const isDue = (current: StoredSigningKey) => clock.now() - Number(current.signs_from) >= olderThanMs
  const found = await listSigningKeys(database.db)
  const signing = currentOf(found, clock.now())
  if (!signing || !isDue(signing)) return undefined
  const made = waitingOf(found) ?? (await generateSigningKey(signing.algorithm as AsymmetricAlgorithm))
  return database.runAlone(async (trx) => {
    const now = clock.now()
    const keys = await listSigningKeys(trx)
    const scheduled = scheduledOf(keys, now)
    if (scheduled) return { key: scheduled, at: Number(scheduled.signs_from), wasSetBefore: true }
    const current = currentOf(keys, now)
    if (!current || !isDue(current)) return undefined
    return succeed(keeper, trx, current, waitingOf(keys) ?? made)
  })
}

/**
 * Lets a key of another algorithm take over from the one that signs, and drops those that wait to do so; one of the same stays.
 * Without a key that signs, it signs at once.
 * @param algorithm HS256 for the key that is derived from SECRET_KEY: no stored one signs any more
 */
export async function settleAlgorithm(
  keeper: KeyKeeper,
  algorithm: AsymmetricAlgorithm | 'HS256',
): Promise<void> {
  const { database, clock } = keeper
  const isSettled = (keys: readonly StoredSigningKey[]) =>
    (signerOf(keys, clock.now())?.algorithm ?? 'HS256') === algorithm
  if (isSettled(await listSigningKeys(database.db))) return
  // Making an RSA key takes a while: not while others wait for the lock.
  const made = algorithm === 'HS256' ? undefined : await generateSigningKey(algorithm)
  await database.runAlone(async (trx) => {
    const keys = await listSigningKeys(trx)
    if (isSettled(keys)) return
    const now = clock.now()
    for (const key of keys.filter((key) => stateOf(key, now) === 'next')) await deleteSigningKey(trx, key.kid)
    const current = currentOf(keys, now)
    if (!made) await endSigning(trx, current, now)
    else if (!current) await publish(keeper, trx, made, now)
    else if (current.algorithm === algorithm) await endSigning(trx, current, null)
    else await succeed(keeper, trx, current, made)
  })
}

/**
 * Drops a key that has leaked: nothing that it signed is believed any more. When it signs, the next one does from now on.
 * @returns what takes over: undefined when it did not sign; `notFound` when there is no such key that could be revoked
 */
export async function revokeKey(
  keeper: KeyKeeper,
  kid: string,
): Promise<Succession | 'notFound' | undefined> {
  const { database, clock } = keeper
  const found = (await listSigningKeys(database.db)).find((key) => key.kid === kid)
  if (!found || found.revoked_at !== null) return 'notFound'
  const made = await generateSigningKey(found.algorithm as AsymmetricAlgorithm)
  return database.runAlone(async (trx) => {
    const now = clock.now()
    const keys = await listSigningKeys(trx)
    const leaked = keys.find((key) => key.kid === kid && key.revoked_at === null)
    if (!leaked) return 'notFound'
    const state = stateOf(leaked, now)
    await updateSigningKey(trx, kid, { revoked_at: now })
    await insertRevocations(trx, 'key', [kid])
    await recordEvent(trx, now, { type: 'key.revoked', detail: describeKey(leaked) })
    if (leaked === scheduledOf(keys, now)) await endSigning(trx, currentOf(keys, now), null)
    if (state !== 'current') return undefined
    const successor = scheduledOf(keys, now) ?? waitingOf(keys) ?? (await publish(keeper, trx, made, now))
    await updateSigningKey(trx, successor.kid, { signs_from: now, signs_until: null })
    return { key: successor, at: now, wasSetBefore: false }
  })
}

/** Publishes a key that was made elsewhere; it takes over at the next rotation, in place of the one that waited for that. */
export function importKey(keeper: KeyKeeper, key: SigningKey): Promise<StoredSigningKey | 'known'> {
  const { database } = keeper
  return database.runAlone(async (trx) => {
    const keys = await listSigningKeys(trx)
    if (keys.some(({ kid }) => kid === key.kid)) return 'known'
    const waiting = waitingOf(keys)
    if (waiting) await deleteSigningKey(trx, waiting.kid)
    return publish(keeper, trx, key, null)
  })
}

/** Which one signs, or will once its time has come. */
const signerOf = (keys: readonly StoredSigningKey[], now: Timestamp): StoredSigningKey | undefined =>
  scheduledOf(keys, now) ?? currentOf(keys, now)

/** Sets when a key takes over. */
async function succeed(
  keeper: KeyKeeper,
  trx: Db,
  current: StoredSigningKey,
  next: StoredSigningKey | SigningKey,
): Promise<Succession> {
  const now = keeper.clock.now()
  const key = 'created_at' in next ? next : await publish(keeper, trx, next, null)
  const at = Math.max(now + SPREAD_MS, key.created_at + PUBLISHED_FOR_MS)
  await updateSigningKey(trx, key.kid, { signs_from: at })
  await endSigning(trx, current, at)
  const detail = { ...describeKey(key), after: current.kid, signs_from: new Date(at).toISOString() }
  await recordEvent(trx, now, { type: 'key.rotated', detail })
  return { key, at, wasSetBefore: false }
}

async function endSigning(trx: Db, key: StoredSigningKey | undefined, at: Timestamp | null): Promise<void> {
  if (key) await updateSigningKey(trx, key.kid, { signs_until: at })
}

async function publish(
  { clock, secrets }: KeyKeeper,
  trx: Db,
  key: SigningKey,
  signsFrom: Timestamp | null,
): Promise<StoredSigningKey> {
  const now = clock.now()
  const stored = await storeSigningKey(trx, key, { now, signsFrom, secretKey: secrets.secretKey })
  await recordEvent(trx, now, { type: 'key.created', detail: describeKey(key) })
  return stored
}
