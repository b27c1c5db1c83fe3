import { setImmediate as nextEventLoopTurn } from 'node:timers/promises'
import type { CompiledQuery, QueryResult } from 'kysely'
import type { Row, SqliteConnection } from './sqlite-connection.ts'
import { createSharedTransaction, type SharedTransaction } from './sqlite-shared-transaction.ts'
import { databaseUnavailable, requireRoom } from './unavailable.ts'

/** How long a statement or transaction waits for its turn, whoever it is that holds the lock. */
const WAIT_LIMIT_MS = 5000
/** What one commit takes along at most, so that the first does not wait for ever. */
const MAX_TURNS_PER_COMMIT = 256
const JOIN_LIMIT_MS = 10

/**
 * Writes to an SQLite file. Statements and transactions take turns; those that meet share one
 * `BEGIN IMMEDIATE ... COMMIT` and its fsync, each is atomic by itself, and each is answered, well or
 * badly, only after the commit. Errors are translated (`database_unavailable`).
 */
export type SqliteWriter = {
  run(query: CompiledQuery): Promise<QueryResult<Row>>
  begin(): Promise<SqliteTransaction>
  /** How many wait for their turn. */
  waiting(): number
  /** Waits for the turns already taken. The connection is the caller's to close. */
  close(): Promise<void>
}

export type SqliteTransaction = {
  run(query: CompiledQuery): QueryResult<Row>
  /** Does nothing when the transaction has ended already. */
  end(how: 'commit' | 'rollback'): Promise<void>
}

/** Tells a turn's caller how it went; with a failure of the shared commit, that. */
type Answer = (failure: unknown) => void
type Turn = { perform(): Answer | Promise<Answer>; refuse(error: unknown): void }
type TakeTurn = <T>(work: () => T | Promise<T>) => Promise<T>

export function createSqliteWriter(connection: SqliteConnection): SqliteWriter {
  const shared = createSharedTransaction(connection)
  const waiting: Turn[] = []
  let serving: Promise<void> | undefined
  let isClosed = false

  const takeTurn: TakeTurn = (work) =>
    new Promise((resolve, reject) => {
      if (isClosed) throw databaseUnavailable(new Error('The database has been closed'))
      requireRoom(waiting.length)
      waiting.push(createTurn(work, resolve, reject, waiting))
      serving ??= serve()
    })

  /** Ends in the same step in which it finds nobody waiting, or the next to come would be forgotten. */
  async function serve(): Promise<void> {
    while (waiting.length > 0) await serveTogether(shared, waiting)
    serving = undefined
  }

  return {
    run: (query) => takeTurn(() => shared.run(query)),
    begin: () => begin(shared, takeTurn),
    waiting: () => waiting.length,
    async close() {
      isClosed = true
      await serving
    },
  }
}

function createTurn<T>(
  work: () => T | Promise<T>,
  resolve: (value: T) => void,
  reject: (error: unknown) => void,
  waiting: Turn[],
): Turn {
  const fulfilled =
    (value: T): Answer =>
    (failure) =>
      failure === undefined ? resolve(value) : reject(failure)
  const failed =
    (error: unknown): Answer =>
    (failure) =>
      reject(failure ?? error)
  const turn: Turn = {
    perform() {
      clearTimeout(patience)
      try {
        const result = work()
        return result instanceof Promise ? result.then(fulfilled, failed) : fulfilled(result)
      } catch (error) {
        return failed(error)
      }
    },
    refuse(error) {
      clearTimeout(patience)
      reject(error)
    },
  }
  const patience = setTimeout(() => leave(waiting, turn), WAIT_LIMIT_MS)
  return turn
}

function leave(waiting: Turn[], turn: Turn): void {
  waiting.splice(waiting.indexOf(turn), 1)
  turn.refuse(databaseUnavailable(new Error(`The write lock was not free within ${WAIT_LIMIT_MS} ms`)))
}

async function serveTogether(shared: SharedTransaction, waiting: Turn[]): Promise<void> {
  try {
    await shared.open(() => waiting.length > 0)
  } catch (error) {
    waiting.shift()?.refuse(error)
    return
  }
  const answers = await performTogether(shared, waiting)
  const failure = shared.commit()
  for (const answer of answers) answer(failure)
}

async function performTogether(shared: SharedTransaction, waiting: Turn[]): Promise<Answer[]> {
  const answers: Answer[] = []
  const end = performance.now() + JOIN_LIMIT_MS
  const hasRoom = () => shared.isOpen && answers.length < MAX_TURNS_PER_COMMIT
  do {
    for (let turn = waiting.shift(); turn; turn = hasRoom() ? waiting.shift() : undefined) {
      answers.push(await turn.perform())
    }
    // Lets requests join that are already waiting on the event loop.
    if (hasRoom()) await nextEventLoopTurn()
  } while (waiting.length > 0 && hasRoom() && performance.now() < end)
  return answers
}

/** A transaction is a turn that lasts until its end, within a savepoint. */
async function begin(shared: SharedTransaction, takeTurn: TakeTurn): Promise<SqliteTransaction> {
  const started = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  const answered = takeTurn(() => {
    shared.mark('savepoint turn')
    started.resolve()
    return ended.promise
  })
  answered.catch(started.reject)
  await started.promise

  let isOpen = true
  return {
    run(query) {
      if (!isOpen) throw new Error('The transaction has ended')
      return shared.run(query)
    },
    async end(how) {
      if (!isOpen) return
      isOpen = false
      try {
        shared.mark(how === 'commit' ? 'release turn' : 'rollback to turn; release turn')
        ended.resolve()
      } catch (error) {
        ended.reject(error)
      }
      await answered
    },
  }
}
