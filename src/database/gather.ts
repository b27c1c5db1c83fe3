import { AsyncLocalStorage } from 'node:async_hooks'
import type { Db } from './tables.ts'
import { requireRoom } from './unavailable.ts'

/** So that one statement does not hold up what comes after it. */
const MAX_GATHERED = 256
/** What comes while so many are under way gathers until one of them has returned. */
const MAX_UNDER_WAY = 2
/** What takes longer no longer counts: a connection that has died silently must not hold up everyone. */
const SLOW_MS = 1000

type Asked<Input, Output> = { input: Input; resolve(output: Output): void; reject(error: unknown): void }
type Queue<Input, Output> = {
  asked: Asked<Input, Output>[]
  underWay: number
  isDue: boolean
  /** In whose name the next is run: the first that asked, not that of whoever happened to make room for it. */
  asFirst: (work: () => Promise<void>) => Promise<void>
}

/**
 * A function that hands on together what is asked for in one turn of the event loop, or while earlier work is under way, by
 * whichever requests: a busy server makes few round trips, and one with a single request answers it as soon. What fails,
 * fails for all of them. Work within a transaction stays alone.
 * @throws Problem `server_busy` when as many wait already as may
 * @param run begins after the last of them asked; it answers each input, in their order
 */
export function gather<Input, Output>(
  run: (db: Db, inputs: Input[]) => Promise<Output[]>,
): (db: Db, input: Input) => Promise<Output> {
  const queues = new WeakMap<object, Queue<Input, Output>>()

  function handOn(db: Db, queue: Queue<Input, Output>): void {
    queue.isDue = false
    while (queue.asked.length > 0 && queue.underWay < MAX_UNDER_WAY) {
      queue.underWay += 1
      let isCounted = true
      const release = () => {
        clearTimeout(slow)
        if (isCounted) queue.underWay -= 1
        isCounted = false
        schedule(db, queue)
      }
      const slow = setTimeout(release, SLOW_MS)
      const asked = queue.asked.splice(0, MAX_GATHERED)
      void queue.asFirst(() => answer(db, asked)).then(release)
    }
  }

  function schedule(db: Db, queue: Queue<Input, Output>): void {
    if (queue.isDue || queue.asked.length === 0 || queue.underWay >= MAX_UNDER_WAY) return
    queue.isDue = true
    setImmediate(handOn, db, queue)
  }

  async function answer(db: Db, asked: Asked<Input, Output>[]): Promise<void> {
    try {
      const outputs = await run(
        db,
        asked.map(({ input }) => input),
      )
      for (const [index, { resolve }] of asked.entries()) resolve(outputs[index] as Output)
    } catch (error) {
      for (const { reject } of asked) reject(error)
    }
  }

  return async (db, input) => {
    const { adapter, plugins } = db.getExecutor()
    if (db.isTransaction || plugins.length > 0) return (await run(db, [input]))[0] as Output
    return new Promise((resolve, reject) => {
      const queue = queues.get(adapter) ?? { asked: [], underWay: 0, isDue: false, asFirst: (work) => work() }
      queues.set(adapter, queue)
      requireRoom(queue.asked.length)
      if (queue.asked.length === 0) queue.asFirst = AsyncLocalStorage.snapshot()
      queue.asked.push({ input, resolve, reject })
      schedule(db, queue)
    })
  }
}
