import { isIP } from 'node:net'
import Type from 'typebox'
import { check, InvalidValue, type Kind, quote } from './values.ts'

const HostName = Type.String({ maxLength: 253, pattern: '^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$' })

/** An address or name to listen on. */
export const host: Kind<string> = {
  expected: 'an IP address (without brackets) or a host name',
  parse(text) {
    if (isIP(text)) return text
    const isNumeric = /(^|\.)\d+$/.test(text)
    const isName = !isNumeric && URL.canParse(`http://${text}`)
    return check(HostName, isName ? text : undefined, text)
  },
}

const PublicPath = Type.String({ pattern: '^(/[A-Za-z0-9_.~-]+)*$' })

/** An http(s) URL in its canonical form, without a slash at the end. */
export const publicUrl: Kind<string> = {
  expected: 'an http(s) URL such as https://auth.example.com, with a path at most',
  parse(text) {
    const url = parseHttpUrl(text)
    if (url.username !== '' || url.password !== '') throw new InvalidValue('the URL holds credentials')
    if (/[?#]/.test(text)) throw new InvalidValue(`${quote(text)} has a query or a fragment`)
    const path = withoutLastSlash(text.replace(/^\w+:\/\/[^/]*/, ''))
    const isAsWritten = path === withoutLastSlash(url.pathname)
    return url.origin + check(PublicPath, isAsWritten ? path : undefined, text)
  },
}

/** Where OTLP over HTTP is spoken, without the path of the single signal. */
export const collectorUrl: Kind<string> = {
  expected: 'an http(s) URL such as http://127.0.0.1:4318, with a path at most',
  parse: (text) => publicUrl.parse(text),
}

/** Where a range API is asked for what it knows: prefixes of hashes are added behind the slash at its end. */
export const rangeUrl: Kind<string> = {
  expected: 'an https URL with a path at most, or an http one on this machine',
  parse(text) {
    const url = publicUrl.parse(text)
    if (travelsInTheClear(url)) throw new InvalidValue(`${quote(text)} is not https`)
    return `${url}/`
  },
}

const withoutLastSlash = (path: string): string => path.replace(/\/$/, '')

/** An http(s) URL of a service that is asked; plain HTTP on this machine only. */
export const serviceUrl: Kind<string> = {
  expected: 'an https URL such as https://service.example.com/path, or an http one on this machine',
  parse(text) {
    const url = parseHttpUrl(text)
    if (url.username !== '' || url.password !== '') throw new InvalidValue('the URL holds credentials')
    if (travelsInTheClear(text)) throw new InvalidValue(`${quote(text)} is not https`)
    return url.href
  },
}

/** A URL of Redis or Valkey. The messages hold nothing of it: it may carry a password. */
export const redisUrl: Kind<string> = {
  expected: 'redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// with TLS',
  parse(text) {
    const url = URL.parse(text)
    const isRedis = url?.protocol === 'redis:' || url?.protocol === 'rediss:'
    if (!url || !isRedis || url.hostname === '' || /\s/.test(text)) {
      throw new InvalidValue('the value is not a URL of Redis or Valkey')
    }
    if (!/^\/?\d*$/.test(url.pathname)) throw new InvalidValue('the database in the URL is not a number')
    return text
  },
}

/** Hops before this server, or the networks whose word counts. */
export type TrustedProxies = number | readonly string[]

/** How many proxies stand in a row before this server, or their addresses and networks (RFC 4632 section 3.1). */
export const trustedProxies: Kind<TrustedProxies> = {
  expected:
    'addresses and networks such as 10.0.0.0/8 with commas between them, or a number of proxies from 1 to 10',
  parse(text) {
    const items = text.split(',').map((item) => item.trim())
    const [first = ''] = items
    if (/^\d+$/.test(text.trim())) return parseHops(first)
    return [...new Set(items.filter((item) => item !== '').map(parseNetwork))]
  },
}

function parseHops(text: string): number {
  const hops = Number(text)
  if (hops >= 1 && hops <= 10) return hops
  throw new InvalidValue(`${quote(text)} is no number of proxies`)
}

function parseNetwork(text: string): string {
  const [, address = '', prefix] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const family = isIP(address)
  if (family === 0) throw new InvalidValue(`${quote(text)} is neither an address nor a network`)
  if (prefix === undefined) return text
  const bits = Number(prefix)
  if (bits > (family === 4 ? 32 : 128)) throw new InvalidValue(`${quote(text)} has too long a prefix`)
  if (bits === 0)
    throw new InvalidValue(`${quote(text)} is every address: then anybody could pass for anybody`)
  return text
}

/** Where the server is reached when nothing else is said; a wildcard address stands for localhost. */
export function defaultPublicUrl(listenHost: string, port: number): string {
  const name = isIP(listenHost) === 6 ? `[${listenHost.replace(/%.*/, '')}]` : listenHost
  const url = new URL(`http://${name}:${port}`)
  if (url.hostname === '0.0.0.0' || url.hostname === '[::]') url.hostname = 'localhost'
  return url.origin
}

/** Whether what is sent to this URL can be read on the way: plain HTTP that leaves the machine. */
export function travelsInTheClear(url: string): boolean {
  const { protocol, hostname } = new URL(url)
  return protocol === 'http:' && !isLoopback(hostname)
}

/** Whether only this machine gets there. */
export const isLoopback = (hostname: string): boolean =>
  /^(127\.\d+\.\d+\.\d+|\[?::1\]?|(.+\.)?localhost)$/.test(hostname)

/** Exact origins (RFC 6454 section 6.2) with commas between them. */
export const origins: Kind<readonly string[]> = {
  expected: 'origins such as https://app.example.com, with commas between them',
  parse(text) {
    const items = text.split(',').map((item) => item.trim())
    return [...new Set(items.filter((item) => item !== '').map(parseOrigin))]
  },
}

function parseOrigin(text: string): string {
  if (text.includes('*')) throw new InvalidValue(`${quote(text)} is a wildcard; each origin must be named`)
  const { origin } = parseHttpUrl(text)
  if (origin !== text) throw new InvalidValue(`${quote(text)} is not an origin; write ${quote(origin)}`)
  return text
}

function parseHttpUrl(text: string): URL {
  const url = URL.parse(text)
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:'
  // The WHATWG parser repairs `https:host`, tabs and spaces; what is repaired is not what was meant.
  if (!url || !isHttp || !/^https?:\/\/[^\s\\]+$/i.test(text)) {
    throw new InvalidValue(`${quote(text)} is not an http(s) URL`)
  }
  return url
}

const RESERVED = ['dev', 'docs', 'email', 'health', '.well-known', 'metrics', 'problems']
const ApiPrefix = Type.String({ pattern: '^(/[A-Za-z0-9_.-]+)+$' })

/** The path before every route of the API. */
export const apiPrefix: Kind<string> = {
  expected: 'a path such as /api/v1: a slash first, none at the end, letters, digits and _ . - only',
  parse(text) {
    const path = check(ApiPrefix, text, text)
    const segments = path.slice(1).split('/')
    const taken = RESERVED.find((name) => name === segments[0])
    if (taken !== undefined) throw new InvalidValue(`/${taken} is an address of the server itself`)
    if (segments.some((segment) => /^\.+$/.test(segment)))
      throw new InvalidValue(`${quote(text)} has dots alone`)
    return path
  },
}
