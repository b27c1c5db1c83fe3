/**
 * Waits for some work, no longer than that, and no longer than until the signal comes. A process that has nothing else to do
 * lives on meanwhile.
 * @param missing what has not happened yet
 */
export async function waitUntilReady(
  work: Promise<unknown>,
  { timeoutSeconds, signal, missing }: { timeoutSeconds: number; signal: AbortSignal; missing: () => string },
): Promise<void> {
  let end = () => {}
  const refused = new Promise<never>((_resolve, reject) => {
    const refuse = (reason: string) => reject(new Error(`@postern/verify is not ready: ${reason}`))
    const onClose = () => refuse('it was closed')
    const timer = setTimeout(
      () => refuse(`after ${timeoutSeconds} seconds, ${missing()}`),
      timeoutSeconds * 1000,
    )
    signal.addEventListener('abort', onClose)
    if (signal.aborted) onClose()
    end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onClose)
    }
  })
  try {
    await Promise.race([refused, work])
  } finally {
    end()
  }
}
