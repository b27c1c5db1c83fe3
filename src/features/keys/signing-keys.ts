import type { Clock } from '../../core/clock.ts'
import { StartupError } from '../../core/problems.ts'
import { generateSigningKey, type SigningKey } from '../../core/security/keyring.ts'
import { deriveKey, openWithEither, type Secrets, seal } from '../../core/security/secrets.ts'
import type { Settings } from '../../core/settings.ts'
import type { Database } from '../../database/connection.ts'
import type { Db } from '../../database/tables.ts'
import { recordEvent } from '../audit/events.ts'
import { insertSigningKey, listSigningKeys, resealSigningKey, type StoredSigningKey } from './queries.ts'

const LABEL = 'seal-private-keys'

/**
 * The signing keys out of the database, newest last. Makes the first one of ALGORITHM, and seals anew with SECRET_KEY
 * what SECRET_KEY_PREVIOUS had sealed. Any number of nodes may do so at once.
 * @throws StartupError when a key was sealed with another SECRET_KEY
 */
export async function loadSigningKeys(
  database: Database,
  clock: Clock,
  settings: Secrets & Pick<Settings, 'algorithm'>,
): Promise<SigningKey[]> {
  const { db } = database
  const keys = await openSigningKeys(db, clock, settings)
  const { algorithm } = settings
  if (algorithm === 'HS256' || hasKeyFor(algorithm, keys)) return keys
  // Making an RSA key takes a while: not while others wait for the lock.
  const made = await generateSigningKey(algorithm)
  await database.runAlone(async (trx) => {
    if (!hasKeyFor(algorithm, await listSigningKeys(trx))) await storeSigningKey(trx, made, clock, settings)
  })
  return openSigningKeys(db, clock, settings)
}

const hasKeyFor = (algorithm: string, keys: readonly { algorithm: string }[]): boolean =>
  keys.some((key) => key.algorithm === algorithm)

async function openSigningKeys(db: Db, clock: Clock, settings: Secrets): Promise<SigningKey[]> {
  const keys: SigningKey[] = []
  for (const key of await listSigningKeys(db)) keys.push(await openSigningKey(db, clock, key, settings))
  return keys
}

async function storeSigningKey(db: Db, key: SigningKey, clock: Clock, { secretKey }: Secrets): Promise<void> {
  await insertSigningKey(db, {
    kid: key.kid,
    algorithm: key.algorithm,
    public_jwk: JSON.stringify(key.publicJwk),
    sealed_private_jwk: seal(deriveKey(secretKey, LABEL), JSON.stringify(key.privateJwk), key.kid),
    created_at: clock.now(),
  })
  await recordEvent(db, clock.now(), { type: 'key.created', detail: describeKey(key) })
}

const describeKey = ({ kid, algorithm }: Pick<StoredSigningKey, 'kid' | 'algorithm'>) => ({
  use: 'sig',
  kid,
  algorithm,
})

async function openSigningKey(
  db: Db,
  clock: Clock,
  stored: StoredSigningKey,
  secrets: Secrets,
): Promise<SigningKey> {
  const { kid } = stored
  const opened = unsealPrivateJwk(stored, secrets)
  if (!opened) {
    throw new StartupError(
      `The signing key ${kid} was sealed with another SECRET_KEY: set that one, or set it as SECRET_KEY_PREVIOUS`,
    )
  }
  if (opened.isOfPrevious) {
    const sealed = seal(deriveKey(secrets.secretKey, LABEL), opened.plaintext, kid)
    await db.transaction().execute(async (trx) => {
      await resealSigningKey(trx, kid, sealed)
      await recordEvent(trx, clock.now(), { type: 'key.resealed', detail: describeKey(stored) })
    })
  }
  return toSigningKey(stored, opened.plaintext)
}

/** The private key as a JWK in JSON; undefined when it was sealed with another secret, or altered. */
export const unsealPrivateJwk = ({ kid, sealed_private_jwk }: StoredSigningKey, secrets: Secrets) =>
  openWithEither(secrets, LABEL, sealed_private_jwk, kid)

export const toSigningKey = (
  { kid, algorithm, public_jwk }: StoredSigningKey,
  privateJwk: string,
): SigningKey => ({
  kid,
  algorithm: algorithm as SigningKey['algorithm'],
  publicJwk: JSON.parse(public_jwk),
  privateJwk: JSON.parse(privateJwk),
})
