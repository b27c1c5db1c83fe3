import { type DatabaseSettings, openDatabase } from '../../src/database/connection.ts'
import { migrate } from '../../src/database/migrate.ts'

/** Migrates the database whose settings it is given in JSON, and prints what it applied. */
const settings: DatabaseSettings = JSON.parse(process.argv[2] ?? '')
const database = await openDatabase(settings)
process.stdout.write(JSON.stringify(await migrate(database)))
await database.close()
