import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { sql } from 'kysely'
import { StartupError } from '../core/problems.ts'
import { walFile } from './read-only.ts'
import { sqliteCode } from './sqlite-errors.ts'
import type { Db } from './tables.ts'

/** A check of the whole file takes about a second for each half of it, in which nothing else happens. */
const MAX_CHECKED_BYTES = 2 ** 30

/** `f_type` of statfs(2). FUSE is not among them: behind it may be anything. */
const NETWORK_FILE_SYSTEMS = new Map([
  [0x5346414f, 'AFS'],
  [0xff534d42, 'CIFS'],
  [0x517b, 'SMB'],
  [0xfe534d42, 'SMB'],
  [0x6969, 'NFS'],
  [0x01021997, '9P'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
])

const CORRUPT = 11

export type SqliteFacts = {
  file: string
  /** Permission bits, of the file or its write-ahead log, whichever lets more. */
  fileMode: number
  folderMode: number
  /** Whether this user may write both to the file and to its folder. */
  isWritable: boolean
  walBytes: number
  freeBytes: number
  /** Undefined for one on this machine. */
  networkFileSystem: string | undefined
  fileBytes: number
  /** What SQLite says is wrong in the file; undefined when it is sound, or too large to be looked through. */
  damage: string | undefined
  isChecked: boolean
}

/**
 * Looks at an SQLite database and at the file it is in.
 * @param db opened to be read
 */
export async function inspectSqlite(db: Db, file: string): Promise<SqliteFacts> {
  const [wal, folder] = [walFile(file), dirname(file)]
  const hadWal = existsSync(wal)
  const { mode, size } = statSync(file)
  const { bavail, bsize, type } = statfsSync(folder)
  const isChecked = size <= MAX_CHECKED_BYTES
  const damage = isChecked ? await findDamage(db) : undefined
  // It was opened as a file that nobody changes.
  if (damage !== undefined && !hadWal && existsSync(wal)) {
    throw new StartupError('a server began to use it meanwhile; look again')
  }
  const walStat = hadWal ? statSync(wal) : undefined
  return {
    file,
    fileMode: mode | (walStat?.mode ?? 0),
    folderMode: statSync(folder).mode,
    isWritable: isWritable(file) && isWritable(folder),
    walBytes: walStat?.size ?? 0,
    freeBytes: bavail * bsize,
    networkFileSystem: NETWORK_FILE_SYSTEMS.get(type),
    fileBytes: size,
    damage,
    isChecked,
  }
}

async function findDamage(db: Db): Promise<string | undefined> {
  try {
    const { rows } = await sql<{ quick_check: string }>`pragma quick_check(1)`.execute(db)
    const found = rows[0]?.quick_check
    return found === 'ok' ? undefined : found
  } catch (error) {
    // Where the damage is such that SQLite cannot even go on looking.
    if (sqliteCode(error) === CORRUPT) return (error as Error).message
    throw error
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}
