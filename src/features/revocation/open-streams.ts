import type { Context } from '../../context.ts'
import { serverBusy } from '../../core/problems.ts'

/** Each takes a connection, and little more. */
const MOST_STREAMS = 1000

/** The streams of this process that are being followed. */
export type Streams = {
  /**
   * Begins one, which ends with its signal, and is to be closed when its reader has gone.
   * @throws Problem `server_busy` where there are as many as may be, or the server is about to stop
   */
  open(): { signal: AbortSignal; close(): void }
  /** Ends all, for good. */
  close(): void
}

export function createStreams({ metrics }: Pick<Context, 'metrics'>): Streams {
  const streams = new Set<AbortController>()
  let isClosing = false
  return {
    open() {
      if (isClosing || streams.size >= MOST_STREAMS) throw serverBusy()
      const stream = new AbortController()
      streams.add(stream)
      metrics.revocationStreams(1)
      return {
        signal: stream.signal,
        close() {
          stream.abort()
          if (streams.delete(stream)) metrics.revocationStreams(-1)
        },
      }
    },
    close() {
      isClosing = true
      for (const stream of streams) stream.abort()
    },
  }
}
