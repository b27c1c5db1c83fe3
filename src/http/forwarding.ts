import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'
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

/**
 * Without a trusted proxy, says once a day that requests come through one: everybody then counts as that proxy. `postern
 * doctor` finds it in the record of events.
 */
export function watchForwarding(app: App, { settings, db, clock }: Context): void {
  if (trustProxy(settings) !== false) return
  let requests = 0
  let toldAt: Timestamp | undefined
  app.addHook('onRequest', ({ headers, caller, log }, _reply, done) => {
    done()
    if (!FORWARDING_HEADERS.some((name) => headers[name] !== undefined)) return
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
  })
}
