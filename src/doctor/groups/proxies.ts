import { isIP } from 'node:net'
import type { TrustedProxies } from '../../core/settings/addresses.ts'
import { defineGroup } from '../check.ts'
import type { Scene } from '../scene.ts'

export type ProxiesFacts = Readonly<{ publicUrl: string; trustedProxies: TrustedProxies }>

const gather = (scene: Scene): ProxiesFacts => scene.settings()

/** Larger than what any provider publishes for its proxies. */
const MIN_PREFIX = { 4: 12, 6: 24 }
/** Networks that nobody has an address in but those who are there already, by how they begin. */
const PRIVATE: Readonly<Record<string, number>> = {
  '10.': 8,
  '127.': 8,
  '100.64.': 10,
  fc: 7,
  fd: 8,
  'fe80:': 10,
}
const MAPPED_PREFIX = '::ffff:'

/** Whether strangers are sure to be in a network. One of IPv4 may be written as mapped into IPv6 (RFC 4291 section 2.5.5.2). */
export function isTooWide(network: string): boolean {
  const isMapped = network.toLowerCase().startsWith(MAPPED_PREFIX)
  const [address = '', prefix] = network
    .toLowerCase()
    .slice(isMapped ? MAPPED_PREFIX.length : 0)
    .split('/')
  if (prefix === undefined) return false
  const bits = Number(prefix) - (isMapped ? 96 : 0)
  const least = Object.entries(PRIVATE).find(([start]) => address.startsWith(start))?.[1]
  return bits < (least ?? MIN_PREFIX[isMapped || isIP(address) === 4 ? 4 : 6])
}

export const proxies = defineGroup('proxies', gather, [
  {
    id: 'proxies.unset',
    level: 'warning',
    why: 'Postern speaks no TLS, so that something before it does: without TRUSTED_PROXIES all clients count as that one address',
    mend: 'Set TRUSTED_PROXIES to the networks of your proxies, or to how many stand in a row (docs/limits.md)',
    find: ({ publicUrl, trustedProxies }) =>
      publicUrl.startsWith('https:') &&
      typeof trustedProxies !== 'number' &&
      trustedProxies.length === 0 &&
      'PUBLIC_URL is https, and no proxy is trusted',
  },
  {
    id: 'proxies.too_wide',
    level: 'warning',
    why: 'Whoever has an address there can pretend to any other, and so evade every limit by address',
    mend: 'Name the addresses or networks of your proxies alone in TRUSTED_PROXIES',
    find: ({ trustedProxies }) =>
      typeof trustedProxies !== 'number' &&
      trustedProxies
        .filter(isTooWide)
        .map((network) => `TRUSTED_PROXIES names ${network}, with more addresses than any proxies have`),
  },
])
