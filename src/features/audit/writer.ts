import { adapterOf } from '../../database/compiled.ts'
import type { Db } from '../../database/tables.ts'

/** Who writes events to a database from this process. */
export type Writer = Readonly<{
  /** Who acts where no caller does. */
  actor: 'server' | 'operator' | 'unknown'
  /** The server's host, or the operator's name in their operating system. */
  name: string | null
  /** The key of the chain; undefined for an operator without the server's secret. */
  key: Buffer | undefined
}>

const NOBODY: Writer = { actor: 'unknown', name: null, key: undefined }

const writers = new WeakMap<object, Writer>()

/** From now on, events on this database, also in its transactions, are written by that writer. */
export function writeEventsAs(db: Db, writer: Writer): void {
  writers.set(adapterOf(db).scope, writer)
}

export const writerOf = (db: Db): Writer => writers.get(adapterOf(db).scope) ?? NOBODY
