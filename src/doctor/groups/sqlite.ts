import { inspectSqlite, type SqliteFacts } from '../../database/inspect-sqlite.ts'
import { defineGroup } from '../check.ts'
import type { Scene } from '../scene.ts'

const MEBIBYTE = 2 ** 20
const GROUP_AND_OTHERS = 0o077
const OTHERS_WRITE = 0o002
/** SQLite begins anew at 4 MiB unless somebody reads without an end. */
const MAX_WAL_BYTES = 256 * MEBIBYTE
const LEAST_FREE_BYTES = 1024 * MEBIBYTE

async function gather(scene: Scene): Promise<SqliteFacts | undefined> {
  const { database: settings } = scene.settings()
  if (settings.kind !== 'sqlite') return undefined
  const database = await scene.readDatabase()
  return database && inspectSqlite(database.db, settings.file)
}

const mebibytes = (bytes: number): string => `${Math.floor(bytes / MEBIBYTE).toLocaleString('en')} MiB`

export const sqlite = defineGroup('sqlite', gather, [
  {
    id: 'sqlite.integrity',
    level: 'error',
    why: 'What is damaged cannot be read, and the damage may grow',
    mend: 'Stop the server, keep a copy of the file, and restore a backup (docs/deployment.md)',
    find: ({ file, damage }) => damage !== undefined && `${file}: ${damage}`,
  },
  {
    id: 'sqlite.integrity_unknown',
    level: 'info',
    why: 'The file is too large to be looked through while others wait',
    mend: 'Run `PRAGMA quick_check` on a backup of it',
    find: ({ file, fileBytes, isChecked }) => !isChecked && `${file} has ${mebibytes(fileBytes)}`,
  },
  {
    id: 'sqlite.writable',
    level: 'error',
    why: 'A server that runs as this user answers 503',
    mend: 'Give the file and its folder to the user that the server runs as',
    find: ({ file, isWritable }) => !isWritable && `${file}: this user may not write to it, or to its folder`,
  },
  {
    id: 'sqlite.mode',
    level: 'warning',
    why: 'Others can read names, addresses, password hashes and events',
    mend: 'Run `chmod 600` on the file, and on those beside it whose names end in -wal and -shm',
    find: ({ file, fileMode }) => (fileMode & GROUP_AND_OTHERS) !== 0 && `${file} is open to other users`,
  },
  {
    id: 'sqlite.folder_mode',
    level: 'warning',
    why: 'Any user of this machine can put another database in its place',
    mend: 'Run `chmod 700` on the folder',
    find: ({ file, folderMode }) =>
      (folderMode & OTHERS_WRITE) !== 0 && `The folder of ${file} can be written to by all users`,
  },
  {
    id: 'sqlite.file_system',
    level: 'error',
    why: 'The locks of SQLite do not work reliably on a network, and the database is destroyed sooner or later',
    mend: 'Move it to a disk of this machine, or use PostgreSQL',
    find: ({ file, networkFileSystem }) =>
      networkFileSystem !== undefined && `${file} is on a file system of a network (${networkFileSystem})`,
  },
  {
    id: 'sqlite.wal',
    level: 'warning',
    why: 'Something reads without an end, so that SQLite cannot begin its write-ahead log anew, and it fills the disk',
    mend: 'Find what else has the database open, and end it',
    find: ({ walBytes }) => walBytes > MAX_WAL_BYTES && `The write-ahead log has ${mebibytes(walBytes)}`,
  },
  {
    id: 'sqlite.disk_space',
    level: 'warning',
    why: 'On a full disk nothing can be written, and nobody signs in',
    mend: 'Make room, or move the database to a larger disk',
    find: ({ freeBytes }) => freeBytes < LEAST_FREE_BYTES && `The disk has ${mebibytes(freeBytes)} left`,
  },
])
