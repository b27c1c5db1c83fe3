import { DAY, type Timestamp } from '../../core/clock.ts'
import { findNewestEvent } from '../../features/audit/list-queries.ts'
import { defineGroup } from '../check.ts'
import type { Scene } from '../scene.ts'

export type ForwardingFacts = Readonly<{
  now: Timestamp
  isAnyTrusted: boolean
  /** When requests last came through a proxy that is not trusted, and from which address; undefined for never. */
  untrusted: Readonly<{ at: Timestamp; ip: string | null }> | undefined
}>

async function gather(scene: Scene): Promise<ForwardingFacts | undefined> {
  const { trustedProxies } = scene.settings()
  const database = await scene.openTables()
  if (!database) return undefined
  const event = await findNewestEvent(database.db, { type: 'server.proxy_untrusted' })
  return {
    now: scene.clock.now(),
    isAnyTrusted: typeof trustedProxies === 'number' || trustedProxies.length > 0,
    untrusted: event && { at: event.occurred_at, ip: event.ip },
  }
}

export const forwarding = defineGroup('forwarding', gather, [
  {
    id: 'forwarding.untrusted',
    level: 'warning',
    why: 'All clients of a proxy that is not trusted count as one: together they reach its limits, and its address stands in the record for everyone',
    mend: 'If it is your proxy, name it in TRUSTED_PROXIES; if not, let nobody but your proxies reach the port',
    find({ now, isAnyTrusted, untrusted }) {
      if (isAnyTrusted || !untrusted || now - untrusted.at > 7 * DAY) return false
      const when = `${new Date(untrusted.at).toISOString().slice(0, 16)}Z`
      return `Requests with forwarding headers came from ${untrusted.ip ?? 'somewhere'}, recorded ${when}`
    },
  },
])
