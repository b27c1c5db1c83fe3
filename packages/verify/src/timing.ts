const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 10_000

/** Calls once after that time, unless what it returns is called first. Keeps no process alive. */
export function startTimer(run: () => void, ms: number): () => void {
  const timer: unknown = setTimeout(run, ms)
  if (typeof timer === 'object' && timer !== null && 'unref' in timer && typeof timer.unref === 'function') {
    timer.unref()
  }
  return () => clearTimeout(timer as ReturnType<typeof setTimeout>)
}

/** Waits that long, or until the signal comes. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      stop()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const stop = startTimer(end, ms)
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
  })
}

/** How long to wait before the next try, after so many that failed: about 100 ms, then twice as long each, 10 s at most. */
export function pauseAfter(failures: number): number {
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.max(0, failures - 1))
  return longest * (0.75 + Math.random() / 4)
}

/** What the work comes to, unless that takes longer: then `onLate` makes the error. */
export function within<T>(work: Promise<T>, ms: number, onLate: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = startTimer(() => reject(onLate()), ms)
    work.then(resolve, reject).finally(stop)
  })
}
