import type { Context } from '../../context.ts'
import type { Timestamp } from '../../core/clock.ts'
import { createKeyring, type Keyring, type SigningKey } from '../../core/security/keyring.ts'
import type { Secrets } from '../../core/security/secrets.ts'
import type { Settings } from '../../core/settings.ts'
import { currentOf, isAccepted, nextChangeOf, signerOf } from './key-states.ts'
import { listSigningKeys, type StoredSigningKey } from './queries.ts'
import { settleAlgorithm } from './settle-algorithm.ts'
import {
  foreignKey,
  refuseForeignKeys,
  resealSigningKey,
  toSigningKey,
  unsealPrivateJwk,
} from './stored-keys.ts'

/** The keys as the database has them, which decides for all nodes. */
export type LiveKeyring = {
  /** As it is now: another one once keys have changed. */
  current(): Keyring
  /** Reads the keys again. */
  refresh(): Promise<void>
}

type KeySettings = Secrets & Pick<Settings, 'algorithm'>

/**
 * Opens the keys. Makes the first one of ALGORITHM, or lets one take over from that of another algorithm, and seals anew with
 * SECRET_KEY what SECRET_KEY_PREVIOUS had sealed. Any number of nodes may do so at once.
 * @throws StartupError when a key was sealed with another SECRET_KEY
 */
export async function openKeyring(
  { database, clock }: Pick<Context, 'database' | 'clock'>,
  settings: KeySettings,
): Promise<LiveKeyring> {
  const { db } = database
  await refuseForeignKeys(db, clock.now(), settings)
  await settleAlgorithm({ database, clock, settings })
  const opened = new Map<string, SigningKey>()
  /** Gives one that cannot be opened. */
  const openNew = async (found: readonly StoredSigningKey[]): Promise<StoredSigningKey | undefined> => {
    const now = clock.now()
    let foreign: StoredSigningKey | undefined
    for (const key of found.filter((key) => isAccepted(key, now) && !opened.has(key.kid))) {
      const unsealed = unsealPrivateJwk(key, settings)
      if (unsealed) opened.set(key.kid, toSigningKey(key, unsealed.plaintext))
      else foreign = key
      if (unsealed?.isOfPrevious) {
        await resealSigningKey(db, key, unsealed.plaintext, { now, secretKey: settings.secretKey })
      }
    }
    return foreign
  }

  let stored: readonly StoredSigningKey[] | undefined
  let foreign: StoredSigningKey | undefined
  let keyring: Keyring
  let changesAt: Timestamp
  const arrange = (keys: readonly StoredSigningKey[]) => {
    const now = clock.now()
    keyring = arrangeKeys(keys, opened, settings, now)
    changesAt = nextChangeOf(keys, now)
    stored = keys
  }
  const refresh = async () => {
    let found = await listSigningKeys(db)
    // All were dropped, or a node that was told of HS256 has ended the last one.
    if (settings.algorithm !== 'HS256' && !signerOf(found, clock.now())) {
      await settleAlgorithm({ database, clock, settings })
      found = await listSigningKeys(db)
    }
    if (JSON.stringify(found) !== JSON.stringify(stored)) {
      foreign = await openNew(found)
      // What is known of the others holds all the same, above all that one was revoked.
      arrange(found)
    }
    if (foreign) throw foreignKey(foreign.kid)
  }
  await refresh()
  return {
    current() {
      if (stored && clock.now() >= changesAt) arrange(stored)
      return keyring
    },
    refresh,
  }
}

/** Those that verify, and of them the one that signs; last, as `createKeyring` has it. */
function arrangeKeys(
  stored: readonly StoredSigningKey[],
  opened: ReadonlyMap<string, SigningKey>,
  settings: KeySettings,
  now: Timestamp,
): Keyring {
  const accepted = stored.filter((key) => isAccepted(key, now))
  // A node that was told of another ALGORITHM may have ended the last one.
  const signer = currentOf(accepted, now) ?? accepted.findLast(({ signs_from }) => signs_from !== null)
  const ordered = [...accepted.filter((key) => key !== signer), ...(signer ? [signer] : [])]
  return createKeyring({
    ...settings,
    algorithm: settings.algorithm === 'HS256' ? 'HS256' : (signer?.algorithm ?? settings.algorithm),
    signingKeys: ordered.flatMap(({ kid }) => opened.get(kid) ?? []),
  })
}
