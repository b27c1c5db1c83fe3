import { DAY, type Timestamp } from '../../core/clock.ts'
import { type InspectedSigningKey, inspectSigningKeys } from '../../features/keys/inspect-signing-keys.ts'
import { defineGroup } from '../check.ts'
import type { Scene } from '../scene.ts'
import { getSecrets } from '../secrets.ts'

export type KeysFacts = Readonly<{
  now: Timestamp
  algorithm: string
  /** Those in use. */
  keys: readonly InspectedSigningKey[]
}>

/** What NIST SP 800-57 part 1 allows a private key to sign for is one to three years. */
const MAX_AGE_DAYS = 730

async function gather(scene: Scene): Promise<KeysFacts | undefined> {
  const settings = scene.settings()
  const database = await scene.openTables()
  if (!database) return undefined
  const now = scene.clock.now()
  const found = await inspectSigningKeys(database.db, now, getSecrets(settings))
  return { now, algorithm: settings.algorithm, keys: found }
}

const namesOf = (keys: readonly InspectedSigningKey[], text: string): string[] =>
  keys.map(({ kid, algorithm }) => `The ${algorithm} key ${kid} ${text}`)

export const keys = defineGroup('keys', gather, [
  {
    id: 'keys.sealed',
    level: 'error',
    why: 'The server does not start: it cannot open its own key',
    mend: 'Set the SECRET_KEY that it was sealed with, at least as SECRET_KEY_PREVIOUS (docs/deployment.md)',
    find: (facts) =>
      namesOf(
        facts.keys.filter(({ sealedWith }) => sealedWith === 'another'),
        'was sealed with another SECRET_KEY, or was altered',
      ),
  },
  {
    id: 'keys.damaged',
    level: 'error',
    why: 'The server does not start: with half a key it cannot sign',
    mend: 'Delete its row from signing_keys, or restore a backup; a new key is made at the next start',
    find: (facts) =>
      namesOf(
        facts.keys.filter(({ isDamaged }) => isDamaged),
        'cannot be read, or its halves do not belong together',
      ),
  },
  {
    id: 'keys.previous',
    level: 'warning',
    why: 'Without SECRET_KEY_PREVIOUS the server would not start any more; each start seals such keys anew',
    mend: 'Restart a node before you remove SECRET_KEY_PREVIOUS',
    find: (facts) =>
      namesOf(
        facts.keys.filter(({ sealedWith }) => sealedWith === 'previous'),
        'is sealed with SECRET_KEY_PREVIOUS still',
      ),
  },
  {
    id: 'keys.algorithm',
    level: 'info',
    why: 'One is made at the next start, and signs an hour later; until then nodes sign with another',
    mend: 'Restart the nodes, if you have changed ALGORITHM',
    find: ({ algorithm, keys: found }) =>
      algorithm !== 'HS256' &&
      !found.some((key) => key.algorithm === algorithm) &&
      `There is no key for ALGORITHM=${algorithm} yet`,
  },
  {
    id: 'keys.age',
    level: 'warning',
    why: 'The longer a key signs, the more a copy that somebody took is worth; NIST SP 800-57 says one to three years',
    mend: '`postern keys rotate`, and KEY_ROTATION_DAYS for the server to do so by itself (docs/deployment.md)',
    find(facts) {
      const current = facts.keys.find(({ state }) => state === 'current')
      if (!current) return false
      const days = Math.floor((facts.now - Number(current.signsFrom)) / DAY)
      return days > MAX_AGE_DAYS && namesOf([current], `has signed for ${days} days`)
    },
  },
])
