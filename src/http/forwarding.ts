import type { IncomingHttpHeaders } from 'node:http'
import { BlockList, isIP, isIPv6 } from 'node:net'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'
import type { Caller } from '../core/caller.ts'
import { DAY, type Timestamp } from '../core/clock.ts'
import type { Settings } from '../core/settings.ts'
import { recordEvent } from '../features/audit/events.ts'
import type { App } from './app-type.ts'

/** What proxies add: seen without a trusted one, it is likely that there is one all the same. */
const FORWARDING_HEADERS = ['x-forwarded-for', 'forwarded', 'x-real-ip', 'cf-connecting-ip']

/** Whose word on the client's address counts, as Fastify has it: the right-most address that is not trusted counts. */
export function trustProxy({ trustedProxies }: Settings): TrustProxy | false {
  if (typeof trustedProxies === 'number') return (_address, hop) => hop < trustedProxies
  return trustedProxies.length > 0 && [...trustedProxies]
}

type TrustProxy = string[] | ((address: string, hop: number) => boolean)

/** The client's address; the proxy's own where that says what is no address. */
export function clientAddress({ ip, socket }: FastifyRequest): string | undefined {
  if (ip === undefined || isIP(ip)) return ip
  // Some proxies send the port along: `192.0.2.1:4711`, `[2001:db8::1]:4711`.
  const bare = ip.replace(/^\[(.*)\](:\d+)?$|^([\d.]+):\d+$/, '$1$3')
  return isIP(bare) ? bare : socket.remoteAddress
}

/** Where proxies of one's own are: on this machine, or in a network that is not routed (RFC 1918, 4193, 6598). */
const NEAR = new BlockList()
for (const [network, bits] of [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const) {
  NEAR.addSubnet(network, bits, 'ipv4')
}
NEAR.addAddress('::1', 'ipv6')
NEAR.addSubnet('fc00::', 7, 'ipv6')
NEAR.addSubnet('fe80::', 10, 'ipv6')

/** Link-local addresses come with a zone (RFC 4007 section 11). */
const isNear = (ip: string): boolean => NEAR.check(ip.replace(/%.*/, ''), isIPv6(ip) ? 'ipv6' : 'ipv4')

/**
 * Without a trusted proxy, finds requests that come through one, and says so once a day: everybody then has the proxy's
 * address. One that is near may have as much as many, or all its clients would lock each other out. `postern doctor` finds it in
 * the record of events.
 */
export function watchForwarding(app: App, { settings, db, clock, metrics }: Context): void {
  if (trustProxy(settings) !== false) return
  let requests = 0
  let toldAt: Timestamp | undefined
  app.addHook('onRequest', ({ headers, caller, log }, _reply, done) => {
    remember(headers, caller, log)
    done()
  })
  function remember(headers: IncomingHttpHeaders, caller: Caller, log: FastifyBaseLogger): void {
    if (!FORWARDING_HEADERS.some((name) => headers[name] !== undefined)) return
    caller.isShared = isNear(caller.ip)
    metrics.untrustedForwarded()
    requests += 1
    const now = clock.now()
    if (toldAt !== undefined && now - toldAt < DAY) return
    toldAt = now
    log.warn(
      { requests, ip: caller.ip },
      'requests carry forwarding headers, and no proxy is trusted: if there is one, name it in TRUSTED_PROXIES, or all its clients count as one address',
    )
    const event = { type: 'server.proxy_untrusted', caller, detail: { requests } } as const
    recordEvent(db, now, event).catch((err) => log.warn({ err }, 'the event could not be recorded'))
  }
}
