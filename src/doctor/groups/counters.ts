import { isLoopback } from '../../core/settings/addresses.ts'
import { inspectRedis, type RedisFacts } from '../../counters/inspect-redis.ts'
import { byGathering, defineGroup, Unusable } from '../check.ts'
import type { Scene } from '../scene.ts'

export type CountersFacts = RedisFacts & Readonly<{ host: string; isEncrypted: boolean }>

/** Without RATE_LIMIT_URL counters are in the database, or in memory. */
async function gather(scene: Scene): Promise<CountersFacts | undefined> {
  const { rateLimitUrl } = scene.settings()
  if (rateLimitUrl === undefined) return undefined
  const { hostname: host, protocol } = new URL(rateLimitUrl)
  const found = await inspectRedis(rateLimitUrl)
  if (typeof found === 'string') throw new Unusable('counters.reachable', `${host} cannot be used (${found})`)
  return { ...found, host, isEncrypted: protocol === 'rediss:' }
}

export const counters = defineGroup('counters', gather, [
  byGathering({
    id: 'counters.reachable',
    level: 'error',
    why: 'Each process counts by itself meanwhile, so that an attacker has as many tries as there are processes',
    mend: 'See that Redis or Valkey runs, and that RATE_LIMIT_URL says where, as whom and with which password',
  }),
  {
    id: 'counters.eviction',
    level: 'warning',
    why: 'When its memory is full it throws counters away, and with them what an attacker has used up',
    mend: 'Set maxmemory-policy to noeviction, and use it for nothing else',
    find: ({ evictionPolicy, maxMemoryBytes }) =>
      evictionPolicy !== undefined &&
      evictionPolicy !== 'noeviction' &&
      maxMemoryBytes !== 0 &&
      `maxmemory-policy is ${evictionPolicy}`,
  },
  {
    id: 'counters.encryption',
    level: 'warning',
    why: 'Whoever is between the two reads its password, and can set counters back',
    mend: 'Use rediss:// in RATE_LIMIT_URL, unless both are alone on a network of their own',
    find: ({ host, isEncrypted }) =>
      !isEncrypted && !isLoopback(host) && `The connection to ${host} is not encrypted`,
  },
])
