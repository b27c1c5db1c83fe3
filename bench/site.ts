import type { Dataset } from './data.ts'
import { type Address, loginRequest, meRequest, refreshRequest } from './load/request.ts'
import { PASSWORD } from './password.ts'

/** A running server with people who can sign in there. */
export type Site = {
  address: Address
  /** Its process, when it is ours to watch. */
  pid?: number
  logins(): string[]
  /** `GET /users/me`, with as many tokens as there are. */
  lookups(count: number): string[]
  /** The first refresh of each of so many sessions. Every call gives sessions of its own. */
  refreshes(count: number): string[]
}

/** Our own server over a dataset. */
export function siteOf(server: { address: Address; pid: number }, dataset: Dataset): Site {
  const { address, pid } = server
  return {
    address,
    pid,
    logins: () =>
      Array.from({ length: 1000 }, (_, i) => loginRequest(address, dataset.username(i * 97), PASSWORD)),
    lookups: (count) => dataset.pick(count).map((i) => meRequest(address, dataset.tokens(i).access_token)),
    refreshes: (count) =>
      dataset.pick(count).map((i) => refreshRequest(address, dataset.tokens(i).refresh_token)),
  }
}

const PEOPLE = 32
const SESSIONS_EACH = 8

type TokenPair = { access_token: string; refresh_token: string }

/**
 * Any server with the same API: registers 32 people there and signs each in 8 times.
 * @param url its origin and the path before every route, such as http://127.0.0.1:8000/api/v1
 */
export async function joinSite(url: string, report: (text: string) => void): Promise<Site> {
  const { hostname: host, port, pathname, protocol } = new URL(url)
  if (protocol !== 'http:') throw new Error('--url: only http:// can be measured')
  const address = { host, port: Number(port || 80), prefix: pathname.replace(/\/$/, '') }
  const run = Date.now().toString(36)
  const names = Array.from({ length: PEOPLE }, (_, i) => `bench-${run}-${i}`)
  const base = `http://${host}:${address.port}${address.prefix}`
  const pairs: TokenPair[] = []
  for (const username of names) {
    report(`${pairs.length} of ${PEOPLE * SESSIONS_EACH} signed in`)
    const person = { username, email: `${username}@example.com`, password: PASSWORD }
    await post(`${base}/auth/register`, person, 'json')
    for (let count = 0; count < SESSIONS_EACH; count += 1) {
      pairs.push((await post(`${base}/auth/login`, { username, password: PASSWORD }, 'form')) as TokenPair)
    }
  }
  const unused = pairs.map((pair) => pair.refresh_token)
  return {
    address,
    logins: () => names.map((username) => loginRequest(address, username, PASSWORD)),
    lookups: () => pairs.map((pair) => meRequest(address, pair.access_token)),
    refreshes(count) {
      if (count > unused.length) throw new Error('--url: at most 7 rounds, the refresh tokens have run out')
      return unused.splice(0, count).map((token) => refreshRequest(address, token))
    },
  }
}

async function post(url: string, fields: Record<string, string>, kind: 'json' | 'form'): Promise<unknown> {
  const reply = await fetch(url, {
    method: 'POST',
    ...(kind === 'json'
      ? { body: JSON.stringify(fields), headers: { 'content-type': 'application/json' } }
      : { body: new URLSearchParams(fields) }),
  })
  if (!reply.ok) throw new Error(`POST ${url} was answered with ${reply.status}: ${await reply.text()}`)
  return await reply.json()
}
