import { isIPv6 } from 'node:net'
import type { UserId } from './ids.ts'

/** Where a request came from, as sessions and the audit log remember it. */
export type Caller = {
  ip: string
  userAgent: string
  requestId: string
  /** The header `Accept-Language`, as it came; undefined without a request. */
  acceptLanguage?: string | undefined
  /** Whether the address may be that of a proxy, with any number of clients behind it. */
  isShared?: boolean
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

/** What one household or one server has: an IPv4 address, or the first 64 bits of an IPv6 address. */
export function networkOf(ip: string): string {
  if (!isIPv6(ip)) return ip
  // A URL has the address in its canonical form (RFC 5952), and with no part in decimals.
  const { hostname } = new URL(`http://[${ip.replace(/%.*/, '')}]`)
  const [front = [], back = []] = hostname.slice(1, -1).split('::').map(splitGroups)
  const zeros = Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0')
  const groups = [...front, ...zeros, ...back]
  if (HOLDS_IPV4.test(groups.join(':'))) return toIpv4(groups)
  return `${groups.slice(0, 4).join(':')}::/64`
}

/** Addresses that stand for an IPv4 one: mapped (RFC 4291 section 2.5.5.2), or translated (RFC 6052 section 2.1). */
const HOLDS_IPV4 = /^(0:0:0:0:0:ffff|64:ff9b:0:0:0:0):/

const toIpv4 = (groups: readonly string[]): string =>
  groups
    .slice(-2)
    .map((group) => Number.parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 255])
    .join('.')

const splitGroups = (text: string): string[] => (text === '' ? [] : text.split(':'))

/** Whether two addresses are one household's: IPv4 alike, IPv6 within one /64. */
export const sameNetwork = (one: string, other: string): boolean =>
  one === other || networkOf(one) === networkOf(other)
