import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'

/** Holds the write lock of an SQLite file for so many milliseconds; prints a line when it has it. */
const [, , file = '', milliseconds = ''] = process.argv
const database = new DatabaseSync(file, { timeout: 1000 })
database.exec('begin immediate')
process.stdout.write('locked\n')
await sleep(Number(milliseconds))
database.exec('rollback')
database.close()
