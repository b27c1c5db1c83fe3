import type { UserId } from './ids.ts'

/** What a span says besides its name. Never what a client sent: no query, no body, no token, no address. */
export type SpanAttributes = Readonly<Record<string, string | number | undefined>>

/** A request that is being traced. */
export type RequestTrace = {
  /** The trace's id, 32 hexadecimal digits (W3C Trace Context). */
  id: string
  /** Runs `work` and all that comes of it as a part of this request. */
  run(work: () => void): void
  end(reply: {
    method: string
    route: string
    status: number
    requestId: string
    userId?: UserId | undefined
  }): void
}

export type Tracing = {
  /** Begins a request, as a part of the caller's trace if it names one; undefined when it is not to be traced. */
  begin(headers: Readonly<Record<string, unknown>>): RequestTrace | undefined
  /** Adds a piece of work that ended just now to the request it was a part of; outside of any it is left out. */
  add(name: string, startedAt: number, attributes: SpanAttributes, failed?: boolean): void
  /** Sends what is left, for two seconds at most. */
  stop(): Promise<void>
}
