import type {
  Compilable,
  CompiledQuery,
  DialectAdapter,
  Expression,
  QueryResult,
  RawBuilder,
  SqlBool,
} from 'kysely'
import type { Db } from './tables.ts'

/** Stands in a compiled query where a parameter belongs. */
class Placeholder {
  readonly name: PropertyKey
  constructor(name: PropertyKey) {
    this.name = name
  }
}

/** What the adapters of our dialects do besides. */
export type DirectAdapter = DialectAdapter & {
  /** Runs one statement outside any transaction, without Kysely's steps around it. */
  runDirectly<Row>(query: CompiledQuery<Row>): Promise<QueryResult<Row>>
  /** Whether a UUID is one of a list, which is one parameter whatever its length. */
  isAmong(value: Expression<unknown>, list: unknown): RawBuilder<SqlBool>
  /** Such a list, as the parameter. */
  toList(values: readonly string[]): unknown
  /** The elements of a JSON array, which is one parameter whatever its length: a table with the column `value`. */
  jsonRows(json: unknown): RawBuilder<{ value: unknown }>
  /** What bounds how long a transaction may do nothing; undefined where its process alone could bound it. */
  boundIdle(ms: number): RawBuilder<unknown> | undefined
  /** The same for every handle on one opened database, those of `runAlone` among them. */
  readonly scope: object
  /** Whether writes that meet share a commit by themselves. */
  readonly joinsCommits: boolean
}

/** Every dialect of ours has such a one. */
export const adapterOf = (db: Db) => db.getExecutor().adapter as DirectAdapter

/** Runs a query with these parameters, in the transaction that it is given, if any. */
export type Prepared<Parameters, Result> = (db: Db, parameters: Parameters) => Promise<Result>

/**
 * A query that is built and compiled once for each kind of database, for those that every request needs: building one
 * takes longer than SQLite takes to run it. `build` is given placeholders, to be put into the query one by one, as they
 * are: what has to be computed is a parameter of its own.
 */
export function prepareRows<Parameters extends object, Row>(
  build: (db: Db, parameters: Parameters) => Compilable<Row>,
): Prepared<Parameters, Row[]> {
  const placeholders = new Proxy({}, { get: (_, name) => new Placeholder(name) }) as Parameters
  const compiled = new WeakMap<object, CompiledQuery<Row>>()
  return async (db, parameters) => {
    const { adapter, plugins } = db.getExecutor()
    // A plugin may change any query, so it must see every one.
    if (plugins.length > 0) return (await db.executeQuery<Row>(build(db, parameters).compile())).rows
    const template = compiled.get(adapter) ?? build(db, placeholders).compile()
    compiled.set(adapter, template)
    const values = template.parameters.map((value) => fill(value, parameters))
    const query = { ...template, parameters: values }
    const { rows } = await (db.isTransaction
      ? db.executeQuery<Row>(query)
      : adapterOf(db).runDirectly<Row>(query))
    return rows
  }
}

/** The same for a query that finds one row at most. */
export function prepareRow<Parameters extends object, Row>(
  build: (db: Db, parameters: Parameters) => Compilable<Row>,
): Prepared<Parameters, Row | undefined> {
  const findRows = prepareRows(build)
  return async (db, parameters) => (await findRows(db, parameters))[0]
}

const fill = (value: unknown, parameters: object): unknown =>
  value instanceof Placeholder ? Reflect.get(parameters, value.name) : value
