import { writeSync } from 'node:fs'
import { openDatabase } from '../../src/database/connection.ts'
import { migrate } from '../../src/database/migrate.ts'
import { addUser } from './opened.ts'

/** Writes users until it is killed, and prints the name of each when its write has been answered. */
const [, , file = ''] = process.argv
const database = await openDatabase({ kind: 'sqlite', file })
await migrate(database)
for (let round = 0; ; round++) {
  const names = Array.from({ length: 5 }, (_, index) => `user${round}-${index}`)
  await Promise.all(
    names.map(async (name) => {
      await database.db.transaction().execute((trx) => addUser(trx, name))
      writeSync(1, `${name}\n`)
    }),
  )
}
