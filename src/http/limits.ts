import type { FastifyReply } from 'fastify'
import type { Context } from '../context.ts'
import { type Caller, networkOf } from '../core/caller.ts'
import { DAY, HOUR, MINUTE, SECOND } from '../core/clock.ts'
import { Problem } from '../core/problems.ts'
import type { Count } from '../counters/counters.ts'
import { recordEvent } from '../features/audit/events.ts'

type Limit = Readonly<{
  /** So many within the window, and no more. */
  most: number
  windowMs: number
  /**
   * What protects a secret is counted for all nodes together. What protects a node from work is counted on it, and costs no
   * round trip.
   */
  countedBy: 'all nodes' | 'each process'
  /** Whether clients are told in `RateLimit`: what others do to an account is none of their business. */
  isTold: boolean
  /** Whether there are so many for each thread that hashes: about what it can do. */
  isPerThread: boolean
}>

const limit = (
  most: number,
  windowMs: number,
  countedBy: Limit['countedBy'],
  { isTold = false, isPerThread = false } = {},
): Limit => ({ most, windowMs, countedBy, isTold, isPerThread })

/**
 * Every limit. An address is an IPv4 address or the /64 of an IPv6 one. An account is a name that somebody gives,
 * whether anybody has it or not.
 */
export const LIMITS = {
  /** A device that signed in as this user before. It counts by this alone, so that nobody can keep its owner out. */
  'login-device': limit(20, MINUTE, 'all nodes', { isTold: true }),
  'login-devices-account': limit(60, MINUTE, 'all nodes'),
  'login-address': limit(300, MINUTE, 'all nodes', { isTold: true }),
  /** So that one address cannot use up an account's tries. */
  'login-address-account': limit(10, MINUTE, 'all nodes'),
  'login-account': limit(20, MINUTE, 'all nodes'),
  /** Failed sign-ins: each try counts as one until it succeeds, or is refused before its password is looked at. */
  'failed-login-address': limit(100, HOUR, 'all nodes'),
  /** Different accounts that sign-ins failed for, however slowly. */
  'failed-accounts-address': limit(100, DAY, 'all nodes'),
  /** Tells that one is new to an address. */
  'failed-account-of-address': limit(Number.POSITIVE_INFINITY, DAY, 'all nodes'),
  /** Failed sign-ins of strangers, wherever they come from: more make the next suspicious, and none is refused for it. */
  'failed-login-server': limit(1000, 10 * MINUTE, 'each process'),
  'login-server': limit(100, SECOND, 'each process', { isPerThread: true }),
  /** Current passwords of people who are signed in. */
  'reauthentication-address': limit(60, MINUTE, 'all nodes', { isTold: true }),
  'reauthentication-account': limit(20, MINUTE, 'all nodes'),
  /** Changes of the account without its password. */
  'change-account': limit(30, HOUR, 'all nodes'),
  'register-address': limit(60, HOUR, 'all nodes', { isTold: true }),
  'register-server': limit(100, SECOND, 'each process', { isPerThread: true }),
  'refresh-address': limit(3000, MINUTE, 'each process', { isTold: true }),
  /** Mails that somebody asks for: for an account each kind by itself, for an address all together. */
  'mail-address': limit(30, HOUR, 'all nodes', { isTold: true }),
  'mail-address-account': limit(5, HOUR, 'all nodes'),
  'mail-account': limit(20, HOUR, 'all nodes'),
  /** Those that somebody who is signed in has sent to new addresses. */
  'mail-user': limit(10, HOUR, 'all nodes'),
  'mail-server': limit(100, SECOND, 'each process'),
  /** Links and codes that came in a mail, brought back. */
  'code-address': limit(30, 10 * MINUTE, 'all nodes', { isTold: true }),
  /** So that one address cannot use up an account's tries of ten minutes. */
  'code-address-account': limit(5, 10 * MINUTE, 'all nodes'),
  'code-account': limit(10, 10 * MINUTE, 'all nodes'),
  'code-account-day': limit(50, DAY, 'all nodes'),
  'code-server': limit(200, SECOND, 'each process'),
  'introspect-address': limit(60_000, MINUTE, 'each process', { isTold: true }),
  /** By itself: an API that cannot read what has ended introspects, and would use up what it needs to read again. */
  'revocations-address': limit(6000, MINUTE, 'each process', { isTold: true }),
} as const satisfies Record<string, Limit>

/** What an address nearby may have for each of one client, where it is likely to be that of a proxy which nobody has named. */
export const SHARED_FACTOR = 50

export type LimitName = keyof typeof LIMITS

/** One request, as limits see it. */
export type Limited = { caller: Caller; reply: FastifyReply }

export type Limits = {
  /**
   * Counts a request, and refuses it beyond the limit.
   * @param subject what the limit is for: an address, an account
   * @returns how many there are now
   * @throws Problem `too_many_requests`
   */
  take(limited: Limited, name: LimitName, subject: string[]): Promise<number>
  /**
   * Refuses a request when as many as may have been counted already.
   * @throws Problem `too_many_requests`
   */
  requireRoom(limited: Limited, name: LimitName, subject: string[]): Promise<void>
  /**
   * Counts, and refuses nothing.
   * @param points less than 0 takes back
   * @returns how many there are now
   */
  count(limited: Limited, name: LimitName, subject: string[], points?: number): Promise<number>
}

/** The limits, on the counters of the context. */
export function createLimits({ settings, db, clock, counters, pseudonym, metrics }: Context): Limits {
  const names = Object.keys(LIMITS) as LimitName[]
  const refusals = new Map(names.map((limit) => [limit, metrics.limited({ limit })]))
  const refuse = (name: LimitName, found: Count): never => {
    refusals.get(name)?.()
    throw refusal(name, found)
  }
  const add = (name: LimitName, caller: Caller, subject: string[], points?: number): Promise<Count> => {
    const { windowMs, countedBy } = LIMITS[name]
    const store = countedBy === 'all nodes' ? counters.shared : counters.local
    // By themselves: who comes from there without a proxy is one client.
    const all = isShared(name, caller) ? ['of many', ...subject] : subject
    return store.add(pseudonym(name, ...all), windowMs, points)
  }
  const mostOf = (name: LimitName, caller: Caller): number => {
    const { most, isPerThread } = LIMITS[name]
    return most * (isPerThread ? settings.hashConcurrency : 1) * (isShared(name, caller) ? SHARED_FACTOR : 1)
  }
  /** Once for each window: that more is refused after it, the metrics tell. */
  const record = (limit: LimitName, caller: Caller): Promise<void> =>
    recordEvent(db, clock.now(), { type: 'limit.reached', caller, detail: { limit } })

  return {
    async take({ reply, caller }, name, subject) {
      if (!settings.rateLimits) return 0
      const most = mostOf(name, caller)
      const found = await add(name, caller, subject)
      if (LIMITS[name].isTold) tell(reply, name, most, found)
      if (found.count === most + 1) await record(name, caller)
      if (found.count > most) refuse(name, found)
      return found.count
    },
    async requireRoom({ caller }, name, subject) {
      if (!settings.rateLimits) return
      const found = await add(name, caller, subject, 0)
      if (found.count >= mostOf(name, caller)) refuse(name, found)
    },
    async count({ caller }, name, subject, points = 1) {
      if (!settings.rateLimits) return 0
      const { count } = await add(name, caller, subject, points)
      if (count === mostOf(name, caller) && points > 0) await record(name, caller)
      return count
    },
  }
}

/** Whether a limit of addresses meets one that may be everybody's: one client's share would have them all lock each other out. */
const isShared = (name: LimitName, caller: Caller): boolean =>
  caller.isShared === true && name.includes('address')

const refusal = (limit: LimitName, { msLeft }: Count): Problem =>
  new Problem('too_many_requests', { retryAfterSeconds: toWholeSeconds(msLeft), context: { limit } })

/** draft-ietf-httpapi-ratelimit-headers-10 sections 3 and 4. */
function tell(reply: FastifyReply, name: LimitName, most: number, { count, msLeft }: Count): void {
  const { windowMs } = LIMITS[name]
  reply.header('ratelimit-policy', `"${name}";q=${most};w=${windowMs / SECOND}`)
  reply.header('ratelimit', `"${name}";r=${Math.max(0, most - count)};t=${toWholeSeconds(msLeft)}`)
}

const toWholeSeconds = (ms: number): number => Math.max(1, Math.ceil(ms / SECOND))

/** Whose requests count together. */
export const addressOf = ({ ip }: Caller): string => networkOf(ip)
