import type { Context } from '../../context.ts'
import type { Timestamp } from '../../core/clock.ts'
import { StartupError } from '../../core/problems.ts'
import { createKeyring, type Keyring, type SigningKey } from '../../core/security/keyring.ts'
import type { Secrets } from '../../core/security/secrets.ts'
import type { Settings } from '../../core/settings.ts'
import { currentOf, nextChangeOf, stateOf } from './key-states.ts'
import { listSigningKeys, type StoredSigningKey } from './queries.ts'
import { settleAlgorithm } from './rotate-keys.ts'
import { resealSigningKey, toSigningKey, unsealPrivateJwk } from './stored-keys.ts'

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
  await settleAlgorithm({ database, clock, secrets: settings }, settings.algorithm)
  const opened = new Map<string, SigningKey>()
  const openKey = async (stored: StoredSigningKey): Promise<void> => {
    const found = unsealPrivateJwk(stored, settings)
    if (!found) throw new StartupError(foreignKey(stored.kid))
    opened.set(stored.kid, toSigningKey(stored, found.plaintext))
    if (found.isOfPrevious) {
      await resealSigningKey(db, stored, found.plaintext, { now: clock.now(), secretKey: settings.secretKey })
    }
  }

  let stored: StoredSigningKey[] = []
  let keyring: Keyring
  let changesAt: Timestamp
  const arrange = () => {
    const now = clock.now()
    keyring = arrangeKeys(stored, opened, settings, now)
    changesAt = nextChangeOf(stored, now)
  }
  const refresh = async () => {
    const found = await listSigningKeys(db)
    if (JSON.stringify(found) === JSON.stringify(stored)) return
    const now = clock.now()
    for (const key of found) if (isAccepted(key, now) && !opened.has(key.kid)) await openKey(key)
    stored = found
    arrange()
  }
  await refresh()
  if (stored.length === 0) arrange()
  return {
    current() {
      if (clock.now() >= changesAt) arrange()
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
    algorithm:
      settings.algorithm === 'HS256'
        ? 'HS256'
        : ((signer?.algorithm ?? settings.algorithm) as SigningKey['algorithm']),
    signingKeys: ordered.flatMap(({ kid }) => opened.get(kid) ?? []),
  })
}

const isAccepted = (key: StoredSigningKey, now: Timestamp): boolean =>
  !['retired', 'revoked'].includes(stateOf(key, now))

const foreignKey = (kid: string): string =>
  `The signing key ${kid} was sealed with another SECRET_KEY: set that one, or set it as SECRET_KEY_PREVIOUS`
