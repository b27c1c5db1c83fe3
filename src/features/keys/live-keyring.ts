import type { Context } from '../../context.ts'
import type { Timestamp } from '../../core/clock.ts'
import { createKeyring, type Keyring, type SigningKey } from '../../core/security/keyring.ts'
import type { Secrets } from '../../core/security/secrets.ts'
import type { Settings } from '../../core/settings.ts'
import { currentOf, isAccepted, nextChangeOf, scheduledOf, signerOf, stateOf } from './key-states.ts'
import { createOpenedKeys } from './opened-keys.ts'
import { listSigningKeys, type StoredSigningKey } from './queries.ts'
import { settleAlgorithm } from './settle-algorithm.ts'
import { refuseForeignKeys } from './stored-keys.ts'

/** The keys as the database has them, which decides for all nodes. */
export type LiveKeyring = {
  /** As it is now: another one once keys have changed. Where none that this process can open signs, it only verifies. */
  current(): Keyring
  /** Reads the keys again. Where it throws, what could be read of them holds all the same. */
  refresh(): Promise<void>
}

type KeySettings = Secrets & Pick<Settings, 'algorithm'>

/**
 * Opens the keys. Makes the first one of ALGORITHM, or lets one take over from that of another algorithm, and seals anew with
 * SECRET_KEY what SECRET_KEY_PREVIOUS had sealed. Any number of nodes may do so at once.
 * @throws StartupError when a key was sealed with another SECRET_KEY, or is damaged
 */
export async function openKeyring(
  { database, clock }: Pick<Context, 'database' | 'clock'>,
  settings: KeySettings,
): Promise<LiveKeyring> {
  const { db } = database
  await refuseForeignKeys(db, clock.now(), settings)
  await settleAlgorithm({ database, clock, settings })
  const opened = createOpenedKeys(settings)
  let stored: readonly StoredSigningKey[] | undefined
  /** Why one of them cannot be opened. */
  let failure: unknown
  let keyring: Keyring
  let changesAt: Timestamp
  const arrange = (keys: readonly StoredSigningKey[]) => {
    const now = clock.now()
    keyring = arrangeKeys(keys, opened.byKid, settings, now)
    changesAt = nextChangeOf(keys, now)
    stored = keys
  }
  const read = async () => {
    const found = await listSigningKeys(db)
    failure = opened.open(found, clock.now())
    if (JSON.stringify(found) !== JSON.stringify(stored)) arrange(found)
    return found
  }
  const refresh = async () => {
    // First, whatever fails after it: above all that one was revoked.
    const found = await read()
    // All were dropped, or a node that was told of HS256 has ended the last one.
    if (settings.algorithm !== 'HS256' && !signerOf(found, clock.now())) {
      await settleAlgorithm({ database, clock, settings })
      await read()
    }
    await opened.reseal(db, clock.now())
    if (failure) throw failure
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
  const usable = stored.filter((key) => isAccepted(key, now) && opened.has(key.kid))
  // A node that was told of another ALGORITHM may have ended the last one. One that waits for a rotation never stands in.
  const former = usable.findLast((key) => stateOf(key, now) === 'previous')
  const signer = currentOf(usable, now) ?? former ?? scheduledOf(usable, now)
  const ordered = [...usable.filter((key) => key !== signer), ...(signer ? [signer] : [])]
  return createKeyring({
    ...settings,
    algorithm: settings.algorithm === 'HS256' ? 'HS256' : signer?.algorithm,
    signingKeys: ordered.flatMap(({ kid }) => opened.get(kid) ?? []),
  })
}
