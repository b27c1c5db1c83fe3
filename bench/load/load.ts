import type { Address } from './request.ts'

/** What a generator is asked to send. */
export type Load = {
  address: Address
  /** At once: each waits for its reply before it sends again. */
  connections: number
  seconds: number
  /** Sent one after another, over and over; with `isChain`, the first request of each connection. */
  requests: string[]
  /** Whether each request is sent once alone; the load ends when they run out. */
  isOnce?: boolean
  /** Whether each connection goes on with the refresh token of the reply. */
  isChain?: boolean
  /**
   * Requests a second, sent when they are due, however slow the replies are, and timed from then (open loop);
   * as many as there are replies when absent.
   */
  rate?: number
  /**
   * Whether the generator keeps its processor busy while it waits. On virtual machines it is the sender who pays for waking a
   * sleeping process, up to twenty microseconds a reply: the server's figure would be one of the hypervisor.
   */
  isAwake?: boolean
}

export type LoadResult = {
  /** Answered with 200. */
  answered: number
  /** How often each other status came. */
  refused: Record<string, number>
  seconds: number
  perSecond: number
  p50Ms: number
  p99Ms: number
}
