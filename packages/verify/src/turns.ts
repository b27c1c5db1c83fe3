import { RequestError } from './requests.ts'

const MOST_WAITING = 1000

/** Lets that many run at once; the others wait for their turn. */
export type Turns = <T>(work: () => Promise<T>) => Promise<T>

/** Those who come when 1000 wait already are refused, by a RequestError. */
export function createTurns(most: number): Turns {
  const waiting: (() => void)[] = []
  let running = 0

  async function begin(): Promise<void> {
    if (running < most) {
      running += 1
      return
    }
    if (waiting.length >= MOST_WAITING) throw new RequestError('too many wait already')
    await new Promise<void>((resolve) => waiting.push(resolve))
  }

  /** Whoever is next takes the place over. */
  function end(): void {
    const next = waiting.shift()
    if (next) next()
    else running -= 1
  }

  return async (work) => {
    await begin()
    try {
      return await work()
    } finally {
      end()
    }
  }
}
