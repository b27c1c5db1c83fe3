// Loaded before the server (`node --import`), so that its commits no longer wait for the disk. For measuring alone.
import { DatabaseSync } from 'node:sqlite'

const { exec } = DatabaseSync.prototype
DatabaseSync.prototype.exec = function execFast(sql) {
  return exec.call(this, sql.replaceAll(/synchronous\s*=\s*full/gi, 'synchronous = off'))
}
