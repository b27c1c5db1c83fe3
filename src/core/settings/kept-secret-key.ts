import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { StartupError } from '../problems.ts'
import { generateSecretKey, refuseWeakSecret } from './secret-key.ts'
import { InvalidValue } from './values.ts'

export type KeptSecretKey = { secretKey: string; warnings: string[] }

/** Where the secret of an embedded database is kept. */
export const keptSecretKeyFile = (databaseFile: string): string => `${databaseFile}.secret-key`

/**
 * The secret kept beside an embedded database, generated when there is none: the one place where settings write.
 * Processes that start at once agree on one secret: each writes its own in full and tries to link it to the
 * name, which one of them wins, and all read what stands there then.
 * @throws StartupError when the file cannot be made or read, or holds no proper secret
 */
export function obtainKeptSecretKey(databaseFile: string): KeptSecretKey {
  const file = keptSecretKeyFile(databaseFile)
  const kept = findKeptSecretKey(databaseFile)
  if (kept !== undefined) return { secretKey: kept, warnings: warnOfLooseMode(file) }

  const isOurs = publishSecretKey(file)
  const secretKey = findKeptSecretKey(databaseFile)
  if (secretKey === undefined) throw new StartupError(`${file}: the secret key vanished while it was made`)
  // Whoever loses the race may see a database that the winner has made since.
  return {
    secretKey,
    warnings: isOurs && existsSync(databaseFile) ? [newSecretKeyWarning(databaseFile)] : [],
  }
}

/**
 * The kept secret, undefined when there is none; writes nothing.
 * @throws StartupError when the file cannot be read or holds no proper secret
 */
export function findKeptSecretKey(databaseFile: string): string | undefined {
  const file = keptSecretKeyFile(databaseFile)
  const content = readIfPresent(file)
  return content === undefined ? undefined : checkKeptSecret(file, content.replace(/\r?\n$/, ''))
}

function readIfPresent(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new StartupError(`${file}: the secret key kept there cannot be read (${codeOf(error)})`)
  }
}

function checkKeptSecret(file: string, secret: string): string {
  try {
    if (!/^[\w-]{43,}$/.test(secret)) throw new InvalidValue('not 32 bytes in base64url')
    refuseWeakSecret(secret)
    return secret
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error
    throw new StartupError(
      `${file}: this holds no proper secret key (${error.message}); restore it from a backup, or delete it to have a new one made`,
    )
  }
}

/** Whether the secret that now stands in the file was made here. */
function publishSecretKey(file: string): boolean {
  const draft = `${file}.${randomBytes(6).toString('hex')}.tmp`
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    writeFileSync(draft, `${generateSecretKey()}\n`, { flag: 'wx', mode: 0o600, flush: true })
    const isOurs = linkUnlessTaken(draft, file)
    syncDirectory(dirname(file))
    return isOurs
  } catch (error) {
    throw new StartupError(
      `${file}: no secret key can be kept there (${codeOf(error)}); set SECRET_KEY instead`,
    )
  } finally {
    rmSync(draft, { force: true })
  }
}

function linkUnlessTaken(draft: string, file: string): boolean {
  try {
    linkSync(draft, file)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

/** Makes the new name survive a power failure; Windows has no such call. */
function syncDirectory(directory: string): void {
  if (process.platform === 'win32') return
  const descriptor = openSync(directory, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

export function warnOfLooseMode(file: string): string[] {
  const isLoose = process.platform !== 'win32' && (statSync(file).mode & 0o077) !== 0
  return isLoose ? [`${file}: others can open the secret key; chmod 600 closes it`] : []
}

/** A warning when a secret is kept beside the database that is none of those in use; writes nothing. */
export function warnOfUnusedSecretKey(databaseFile: string, inUse: (string | undefined)[]): string[] {
  const kept = findUsableSecretKey(databaseFile)
  if (kept === undefined || inUse.includes(kept)) return []
  const file = keptSecretKeyFile(databaseFile)
  return [
    `${file}: SECRET_KEY is set, so the secret key kept there is not used; to go on opening what it sealed, set it as SECRET_KEY_PREVIOUS`,
  ]
}

/** The secret that is set, else the one kept beside the database, if it is of use. None is made. */
export function findSecretKey({ secretKey, database }: SecretKeyPlace): string | undefined {
  return secretKey ?? (database.kind === 'sqlite' ? findUsableSecretKey(database.file) : undefined)
}

/** Of the settings, what tells where the secret is. */
type SecretKeyPlace = {
  secretKey: string | undefined
  database: { kind: 'sqlite'; file: string } | { kind: 'postgres' }
}

/** The kept secret; undefined also when it is of no use, which does not matter while another is set. */
function findUsableSecretKey(databaseFile: string): string | undefined {
  try {
    return findKeptSecretKey(databaseFile)
  } catch (error) {
    if (error instanceof StartupError) return undefined
    throw error
  }
}

function newSecretKeyWarning(databaseFile: string): string {
  const file = keptSecretKeyFile(databaseFile)
  return `${file}: a new secret key was made for a database that exists; keys stored in it cannot be opened, and everyone must sign in again. If you have the former secret key, set it as SECRET_KEY`
}

const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException).code ?? error)
