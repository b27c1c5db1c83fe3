import { existsSync } from 'node:fs'
import { DAY } from '../../core/clock.ts'
import { StartupError } from '../../core/problems.ts'
import {
  findKeptSecretKey,
  keptSecretKeyFile,
  warnOfLooseMode,
  warnOfUnusedSecretKey,
} from '../../core/settings/kept-secret-key.ts'
import type { CheckedSettings } from '../../core/settings.ts'
import { defineGroup } from '../check.ts'
import type { Scene } from '../scene.ts'

export type SecretFacts = Readonly<{
  /** What is wrong with the secret kept beside the database, that it cannot be used. */
  keptFailure: string | undefined
  isLost: boolean
  looseMode: readonly string[]
  unused: readonly string[]
  hasPrevious: boolean
  daysOfPrevious: number
}>

function gather(scene: Scene): SecretFacts {
  const settings = scene.settings()
  const kept = settings.database.kind === 'sqlite' ? lookAtKept(settings, settings.database.file) : NONE_KEPT
  return {
    ...kept,
    hasPrevious: settings.secretKeyPrevious !== undefined,
    daysOfPrevious: Math.ceil((settings.refreshTokenTtlMs + settings.recoveryMs) / DAY),
  }
}

const NONE_KEPT = { keptFailure: undefined, isLost: false, looseMode: [], unused: [] }

function lookAtKept({ secretKey, secretKeyPrevious }: CheckedSettings, databaseFile: string) {
  const file = keptSecretKeyFile(databaseFile)
  const looseMode = existsSync(file) ? warnOfLooseMode(file) : []
  if (secretKey !== undefined) {
    return {
      ...NONE_KEPT,
      looseMode,
      unused: warnOfUnusedSecretKey(databaseFile, [secretKey, secretKeyPrevious]),
    }
  }
  try {
    const isMissing = findKeptSecretKey(databaseFile) === undefined
    return { ...NONE_KEPT, looseMode, isLost: isMissing && existsSync(databaseFile) }
  } catch (error) {
    if (!(error instanceof StartupError)) throw error
    return { ...NONE_KEPT, looseMode, keptFailure: error.message }
  }
}

/** The root of all other secrets; that one set in SECRET_KEY is strong is for `settings.valid` to say. */
export const secret = defineGroup('secret', gather, [
  {
    id: 'secret.kept',
    level: 'error',
    why: 'The server does not start without its secret',
    mend: 'Restore the file from a backup, or set SECRET_KEY',
    find: ({ keptFailure }) => keptFailure,
  },
  {
    id: 'secret.lost',
    level: 'error',
    why: 'A new one would be made at the next start: the signing keys in the database could not be opened, and the start would fail',
    mend: 'Restore the file with the secret from where you keep it, or set it as SECRET_KEY',
    find: ({ isLost }) =>
      isLost && 'There is a database, but neither SECRET_KEY nor the secret kept beside it',
  },
  {
    id: 'secret.mode',
    level: 'warning',
    why: 'Who can read the secret can make tokens for everybody',
    mend: 'Run `chmod 600` on the file; if others have been on this machine, change the secret (docs/deployment.md)',
    find: ({ looseMode }) => looseMode,
  },
  {
    id: 'secret.unused',
    level: 'warning',
    why: 'What it sealed cannot be opened, and a secret that is of no use is one more to lose',
    mend: 'Set it as SECRET_KEY_PREVIOUS while SECRET_KEY is being changed; delete the file afterwards',
    find: ({ unused }) => unused,
  },
  {
    id: 'secret.previous',
    level: 'info',
    why: 'It is accepted as well as the current one, and since when cannot be told from here',
    mend: 'Remove SECRET_KEY_PREVIOUS so many days after SECRET_KEY was changed; at once if it has leaked (docs/deployment.md)',
    find: ({ hasPrevious, daysOfPrevious }) =>
      hasPrevious && `SECRET_KEY_PREVIOUS is set; it is of use for ${daysOfPrevious} days`,
  },
])
