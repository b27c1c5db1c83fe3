import assert from 'node:assert/strict'
import { createCaller } from '../../src/core/caller.ts'
import type { Settings } from '../../src/core/settings.ts'
import type { Limited } from '../../src/http/limits.ts'
import { API, type Call, type Person, type Reply, type TestServer } from '../kit.ts'

type Start = (overrides?: Partial<Settings>) => Promise<TestServer>

/** A server with its limits on. */
export const startLimited = (start: Start, overrides: Partial<Settings> = {}): Promise<TestServer> =>
  start({ rateLimits: true, ...overrides })

export const WRONG = 'certainly not the password'

/** One try to sign in. */
export const signIn = (
  server: TestServer,
  form: { username: string; password: string; device_token?: string; captcha_token?: string },
  call: Call = {},
): Promise<Reply> => server.call('POST', `${API}/auth/login`, { form, ...call })

export const guess = (server: TestServer, username: string, call?: Call): Promise<Reply> =>
  signIn(server, { username, password: WRONG }, call)

/** The right password, from an address that nobody has used. */
export const signInFromElsewhere = (server: TestServer, { username, password }: Person): Promise<Reply> =>
  signIn(server, { username, password }, { ip: nextAddress() })

/** The right password, from the device that the person registered on. */
export const signInOnDevice = (server: TestServer, person: Person, call?: Call): Promise<Reply> => {
  const { username, password, tokens } = person
  return signIn(server, { username, password, device_token: deviceTokenOf(tokens) }, call)
}

export function deviceTokenOf(body: object): string {
  const token = Reflect.get(body, 'device_token')
  assert.equal(typeof token, 'string')
  return token
}

let addresses = 0

/** An address that no test has used before. */
export function nextAddress(): string {
  addresses += 1
  return `10.${(addresses >> 16) & 255}.${(addresses >> 8) & 255}.${addresses & 255}`
}

/** A request as limits see it. */
export function requestFrom(ip = nextAddress(), isShared = false): Limited {
  const caller = { ...createCaller(ip, 'agent', 'request'), isShared }
  return { caller, reply: { header: () => {} } as never }
}

/** 0, 1, 2 and so on: so many. */
export const times = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

/** How many of the replies had this code; 200 for those that have none. */
export function tally(replies: Pick<Reply, 'status' | 'body'>[]): Record<string, number> {
  const byCode = Object.groupBy(replies, ({ status, body }) => body?.code ?? String(status))
  return Object.fromEntries(Object.entries(byCode).map(([code, list]) => [code, list?.length ?? 0]))
}

/** Seconds to wait, of a reply that says so. */
export const retryAfter = ({ headers }: Reply): number | undefined =>
  headers['retry-after'] === undefined ? undefined : Number(headers['retry-after'])
