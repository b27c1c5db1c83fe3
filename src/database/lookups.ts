import { type Compilable, type RawBuilder, type SqlBool, sql } from 'kysely'
import { adapterOf, prepareRows } from './compiled.ts'
import { gather } from './gather.ts'
import type { Db } from './tables.ts'

/**
 * Finds a row by its key, together with what others look up at the same time.
 * @param column the key, a UUID: a malformed one would fail the others' lookups too
 * @param build is given what goes into `where`
 */
export function prepareLookup<Row extends object>(
  column: string,
  build: (db: Db, isAsked: RawBuilder<SqlBool>) => Compilable<Row>,
  keyOf: (row: Row) => string,
): (db: Db, key: string) => Promise<Row | undefined> {
  const findRows = prepareRows((db, { keys }: { keys: unknown }) =>
    build(db, adapterOf(db).isAmong(sql.ref(column), keys)),
  )
  return gather(async (db, keys: string[]) => {
    const rows = await findRows(db, { keys: adapterOf(db).toList([...new Set(keys)]) })
    const found = new Map(rows.map((row) => [keyOf(row), row]))
    return keys.map((key) => found.get(key))
  })
}
