import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { defineGroup } from '../check.ts'
import type { Scene } from '../scene.ts'

export type FilesFacts = Readonly<{
  /** As messages name them: with the variable, not the path, which may be a secret put into the wrong place. */
  secretFilesOpenToOthers: readonly string[]
  dotenvWarnings: readonly string[]
}>

const OTHERS = 0o007
const OTHERS_ENTER = 0o001
/** Where containers are given their secrets; those inside are none but the server. */
const OF_THE_CONTAINER = /^\/(var\/)?run\/secrets\//

const gather = ({ inspected: { files: found, warnings } }: Scene): FilesFacts => ({
  secretFilesOpenToOthers: found
    .filter(({ path }) => !OF_THE_CONTAINER.test(path) && isOpenToOthers(path))
    .map(({ label }) => label),
  dotenvWarnings: warnings,
})

/** Whether users beside the owner and the group can open it: its mode lets them, and so does every folder above it. */
export function isOpenToOthers(path: string): boolean {
  if (process.platform === 'win32' || (statSync(path).mode & OTHERS) === 0) return false
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    if ((statSync(folder).mode & OTHERS_ENTER) === 0) return false
  }
  return true
}

export const files = defineGroup('files', gather, [
  {
    id: 'files.secrets',
    level: 'warning',
    why: 'Every user of this machine can read the secrets in it',
    mend: 'Run `chmod 600` on the file, as the user that the server runs as',
    find: ({ secretFilesOpenToOthers }) =>
      secretFilesOpenToOthers.map((label) => `${label}: the file is open to all users`),
  },
  {
    id: 'files.dotenv',
    level: 'warning',
    why: 'What is written there has no effect, and was surely meant to have one',
    mend: 'Correct the line in `.env`, or remove it',
    find: ({ dotenvWarnings }) => dotenvWarnings,
  },
])
