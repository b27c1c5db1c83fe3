import { fork } from 'node:child_process'
import { once } from 'node:events'

/** A process of its own that does one job after another. */
export type Child<Job, Result> = AsyncDisposable & { pid: number; ask(job: Job): Promise<Result> }

type Answer<Result> = { result: Result } | { failure: string }

/** Starts a file that calls `answerJobs`. It ends when it is disposed of, and with this process. */
export function startChild<Job, Result>(file: URL): Child<Job, Result> {
  const child = fork(file, {
    serialization: 'advanced',
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`${file.pathname} ended (${code ?? signal})`)
  })
  ended.catch(() => {})
  const askNow = async (job: Job): Promise<Result> => {
    const answered = once(child, 'message') as Promise<[Answer<Result>]>
    child.send({ job })
    const [answer] = await Promise.race([answered, ended])
    if ('failure' in answer) throw new Error(answer.failure)
    return answer.result
  }
  let last: Promise<unknown> = Promise.resolve()
  return {
    pid: child.pid ?? 0,
    ask(job) {
      const result = last.then(() => askNow(job))
      last = result.catch(() => {})
      return result
    },
    async [Symbol.asyncDispose]() {
      child.kill()
      await ended.catch(() => {})
    },
  }
}

/** The child's side: does what the parent asks for, and ends with it. */
export function answerJobs<Job, Result>(work: (job: Job) => Promise<Result> | Result): void {
  process.on('disconnect', () => process.exit())
  process.on('message', async ({ job }: { job: Job }) => {
    try {
      process.send?.({ result: await work(job) })
    } catch (error) {
      process.send?.({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    }
  })
}
