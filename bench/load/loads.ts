import type { Site } from '../site.ts'
import type { Load } from './load.ts'

/** At once, for everything but sign-ins. */
export const AT_ONCE = 32
const LOGINS_AT_ONCE = 8
const TOKENS = 10_000

/** Gives what the next measurement sends, for as long as that one lasts. */
export type NextLoad = () => Omit<Load, 'seconds'>

/** The same tokens every time: the server has seen them once it is warm. */
export function me(site: Site, connections = AT_ONCE): NextLoad {
  const load = { address: site.address, connections, requests: site.lookups(TOKENS) }
  return () => load
}

export function login(site: Site, connections = LOGINS_AT_ONCE): NextLoad {
  const load = { address: site.address, connections, requests: site.logins() }
  return () => load
}

/** Other sessions every time, and on from reply to reply: a refresh token is for once. */
export const refresh =
  (site: Site, connections = AT_ONCE): NextLoad =>
  () => ({ address: site.address, connections, requests: site.refreshes(connections), isChain: true })

/** The same from a generator that never sleeps. */
export const awake =
  (next: NextLoad): NextLoad =>
  () => ({ ...next(), isAwake: true })
