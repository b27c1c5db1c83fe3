import { BlockList, isIPv6 } from 'node:net'
import type { UserId } from './ids.ts'

/** Where a request came from, as sessions and the audit log remember it. */
export type Caller = {
  ip: string
  userAgent: string
  requestId: string
  /** Who it turned out to be, for the log: set once they have proved it. */
  userId?: UserId
}

export const MAX_USER_AGENT_LENGTH = 512

/** An IPv4 address mapped into IPv6 (RFC 4291 section 2.5.5.2) counts as the IPv4 address it is. */
const plainAddress = (ip: string): string => ip.replace(/^::ffff:(?=[\d.]+$)/i, '')

export const createCaller = (
  ip: string | undefined,
  userAgent: string | undefined,
  requestId: string,
): Caller => ({
  // A client that has hung up already has no address any more.
  ip: plainAddress(ip ?? ''),
  userAgent: (userAgent ?? '').slice(0, MAX_USER_AGENT_LENGTH),
  requestId,
})

/** Whether two addresses are one household's: IPv4 alike, IPv6 within one /64. */
export function sameNetwork(one: string, other: string): boolean {
  if (one === other) return true
  if (!isIPv6(one) || !isIPv6(other)) return false
  const network = new BlockList()
  network.addSubnet(one, 64, 'ipv6')
  return network.check(other, 'ipv6')
}
