import type { TestContext } from 'node:test'

type Timer = { due: number; fire: () => void }

/** Those of the runtime itself, such as of sockets, must not jump. */
const isOfPackage = (): boolean => new Error().stack?.includes('/packages/verify/') ?? false

/**
 * Time as the package sees it, until the test ends: it goes on as usual, and jumps when told to. Timers of the package that become
 * due by a jump go off in their order.
 */
export function movableTime(t: TestContext): {
  advance(ms: number): void
  /** The machine sleeps: only the clock on the wall goes on. */
  sleep(ms: number): void
  /** No timer that there is now goes off: as in runtimes that drop a request with all that it has begun. */
  dropTimers(): void
} {
  const { setTimeout, clearTimeout } = globalThis
  const wall = Date.now
  const realMonotonic = performance.now.bind(performance)
  const timers = new Map<unknown, Timer>()
  let ahead = 0
  let slept = 0
  const monotonic = () => realMonotonic() + ahead

  function setTimer(run: (...parameters: unknown[]) => void, ms = 0, ...parameters: unknown[]) {
    if (!isOfPackage()) return setTimeout(run, ms, ...parameters)
    const fire = () => {
      clearTimer(handle)
      run()
    }
    const handle = setTimeout(fire, ms)
    timers.set(handle, { due: monotonic() + ms, fire })
    return handle
  }

  function clearTimer(handle: NodeJS.Timeout): void {
    timers.delete(handle)
    clearTimeout(handle)
  }

  t.mock.method(performance, 'now', monotonic)
  t.mock.method(Date, 'now', () => wall() + ahead + slept)
  Object.assign(globalThis, { setTimeout: setTimer, clearTimeout: clearTimer })
  t.after(() => Object.assign(globalThis, { setTimeout, clearTimeout }))

  return {
    advance(ms) {
      ahead += ms
      const due = [...timers.values()].filter((timer) => timer.due <= monotonic())
      for (const timer of due.sort((one, other) => one.due - other.due)) timer.fire()
    },
    sleep(ms) {
      slept += ms
    },
    dropTimers() {
      for (const handle of timers.keys()) clearTimeout(handle as NodeJS.Timeout)
      timers.clear()
    },
  }
}
