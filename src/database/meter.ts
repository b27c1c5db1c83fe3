/**
 * Is told of every statement when it has ended, in the asynchronous context of whoever asked for it.
 * The text has placeholders where the values belong; `startedAt` is of `performance.now()`.
 */
export type ObserveStatement = (text: string, startedAt: number, failed: boolean) => void

export const observeNothing: ObserveStatement = () => {}

/** What is under way, as far as it can be told without asking the database. */
export type DatabaseLoad = {
  /** Requests that wait for a connection, or for their turn to write. */
  waiting: number
  /** PostgreSQL's alone. */
  connections?: { inUse: number; idle: number; max: number }
}

/** Runs one statement, and tells of it. */
export async function observed<Result>(
  observe: ObserveStatement,
  text: string,
  run: () => Result | Promise<Result>,
): Promise<Result> {
  const startedAt = performance.now()
  try {
    const result = await run()
    observe(text, startedAt, false)
    return result
  } catch (error) {
    observe(text, startedAt, true)
    throw error
  }
}

const OPERATIONS = ['select', 'insert', 'update', 'delete', 'begin', 'commit', 'rollback'] as const
const OTHER = 'other'
export type Operation = (typeof OPERATIONS)[number] | typeof OTHER

/** Every operation has an entry, made by `create`. */
export function byOperation<Entry>(create: (operation: Operation) => Entry): (text: string) => Entry {
  const entries = OPERATIONS.map((operation) => [operation, create(operation)] as const)
  const other = create(OTHER)
  return (text) => {
    for (const [operation, entry] of entries) if (text.startsWith(operation)) return entry
    return other
  }
}
