import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '@redis/client'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import { createBreaker } from '../core/breaker.ts'
import { SECOND } from '../core/clock.ts'
import { within } from '../core/within.ts'
import type { Count, Counters, CountersOptions } from './counters.ts'

const CONNECT_TIMEOUT_MS = 2000
/** A store that takes longer counts as down: somebody waits for it. */
const TIME_OUT_MS = SECOND
/** How long a store that is down is left alone. */
const REST_MS = 5 * SECOND
const MAX_QUEUED = 10_000

/**
 * Counters that all nodes share, in Redis or Valkey. While that is down, those of this process count instead: an attacker
 * then has as many tries as there are processes, but never any number. It is no reason not to start, either, and is waited for
 * no longer than a connection takes.
 */
export async function openRedisCounters(
  url: string,
  local: Counters,
  { clock, warn, onFallback }: CountersOptions,
): Promise<Counters & { close(): Promise<void> }> {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    commandsQueueMaxLength: MAX_QUEUED,
    socket: { connectTimeout: CONNECT_TIMEOUT_MS },
  })
  // It connects again by itself; without a listener an error would end the process.
  client.on('error', () => {})
  const connected = client.connect().catch(() => {})
  // The library wants limits of its own; ours come with each call.
  const unused = { points: 1, duration: 1 }
  const store = new RateLimiterRedis({
    ...unused,
    storeClient: client,
    useRedisPackage: true,
    keyPrefix: 'postern',
  })
  const attempt = createBreaker({
    clock,
    restMs: REST_MS,
    onBreak: (error) =>
      warn(`RATE_LIMIT_URL: ${reasonOf(error)}; until it answers, each process counts for itself`),
  })
  await Promise.race([connected, once(client, 'error'), sleep(CONNECT_TIMEOUT_MS, undefined, { ref: false })])
  return {
    async add(key, windowMs, points = 1) {
      const customDuration = windowMs / SECOND
      const ask = async (): Promise<Count> => {
        const found = await (points === 0 ? store.get(key) : store.penalty(key, points, { customDuration }))
        return found
          ? { count: found.consumedPoints, msLeft: found.msBeforeNext }
          : { count: 0, msLeft: windowMs }
      }
      const count = await attempt(() => within(TIME_OUT_MS, ask(), noAnswer))
      if (count) return count
      onFallback()
      return local.add(key, windowMs, points)
    },
    close: async () => client.destroy(),
  }
}

const noAnswer = () => new Error(`no answer within ${TIME_OUT_MS} ms`)

/** Replies of Redis hold no password; errors of the connection are named by their code. */
function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return code ?? message
}
