import { after, afterEach, before, describe } from 'node:test'
import { createApp } from '../src/app.ts'
import { type Context, createContext, type Warn } from '../src/context.ts'
import type { Clock, Timestamp } from '../src/core/clock.ts'
import { loadSettings, type Settings } from '../src/core/settings.ts'
import type { TokenPair } from '../src/features/sessions/issue-tokens.ts'
import type { App } from '../src/http/app-type.ts'
import { createTestDatabase, DATABASES, type DatabaseKind } from './support/databases.ts'
import { SECRET_KEY } from './support/secret-key.ts'
import { createTestLog, rememberPasswords, rememberSecret } from './support/traces.ts'

export const API = '/api/v1'
export const PASSWORD = 'correct horse battery staple'

/** A clock that stands still until the test moves it. */
export type MovableClock = Clock & { advance(ms: number): void }

export type Call = {
  json?: unknown
  form?: Record<string, string>
  /** Raw body, with its own content-type header. */
  payload?: string | Buffer
  token?: string
  headers?: Record<string, string>
  ip?: string
  userAgent?: string
}

export type Reply = {
  status: number
  headers: Record<string, string | string[] | number | undefined>
  // biome-ignore lint/suspicious/noExplicitAny: tests read what the server sent as it is.
  body: any
  text: string
}

export type Person = { username: string; email: string; password: string; tokens: TokenPair }

/** The calls that most tests make. */
type Calls = {
  call(method: string, path: string, call?: Call): Promise<Reply>
  /** Registers somebody new, or as given. */
  register(person?: Partial<Omit<Person, 'tokens'>>, call?: Call): Promise<Person>
  login(person: { username: string; password: string }, call?: Call): Promise<TokenPair>
  refresh(refreshToken: string, call?: Call): Promise<Reply>
  me(accessToken: string): Promise<Reply>
}

export type TestServer = Calls & {
  kind: DatabaseKind
  app: App
  context: Context
  settings: Settings
  clock: MovableClock
  /** What the operator was told since the start of the test server. */
  warnings: string[]
  /** The same database, at the same time, under a new process's state. */
  restart(overrides?: Partial<Settings>): Promise<void>
  close(): Promise<void>
}

type Start = (overrides?: Partial<Settings>) => Promise<TestServer>
type Suite = {
  /** A server of the test's own, on a fresh database; it is closed after the test. */
  start: Start
  /** One server for all tests of the suite that ask for these settings: they keep to users of their own. */
  share: Start
  kind: DatabaseKind
}

/** A suite that runs once on each database. */
export function onEachDatabase(name: string, define: (suite: Suite) => void): void {
  for (const kind of DATABASES) {
    describe(`${name} (${kind})`, () => {
      const own: TestServer[] = []
      const shared = new Map<string, Promise<TestServer>>()
      const closeOwn = async () => {
        for (const server of own.splice(0)) await server.close()
      }
      afterEach(closeOwn)
      after(async () => {
        await closeOwn()
        for (const server of shared.values()) await (await server).close()
      })
      define({
        kind,
        async start(overrides) {
          const server = await startServer(kind, overrides)
          own.push(server)
          return server
        },
        share(overrides = {}) {
          const key = JSON.stringify(overrides)
          const server = shared.get(key) ?? startServer(kind, overrides)
          shared.set(key, server)
          return server
        },
      })
    })
  }
}

/** The same with one server for all tests, which leave its clock and its settings alone. */
export function onSharedServer(
  name: string,
  define: (server: () => TestServer, kind: DatabaseKind) => void,
  overrides: Partial<Settings> = {},
): void {
  onEachDatabase(name, ({ share, kind }) => {
    let server: TestServer | undefined
    before(async () => {
      server = await share(overrides)
    })
    define(() => {
      if (!server) throw new Error('The server runs only inside tests.')
      return server
    }, kind)
  })
}

export function createMovableClock(start: Timestamp = Date.now()): MovableClock {
  let now = start
  return {
    now: () => now,
    advance: (ms) => {
      now += ms
    },
  }
}

export async function startServer(
  kind: DatabaseKind,
  overrides: Partial<Settings> = {},
  clock = createMovableClock(),
): Promise<TestServer> {
  const database = await createTestDatabase(kind)
  const env = { DATABASE_URL: database.url, SECRET_KEY }
  const { settings } = loadSettings({ env, directory: '/nonexistent' })
  const warnings: string[] = []
  const open = (given: Settings) => openServer(given, clock, (message) => warnings.push(message))
  // What is tested is not the limits, nor mails, but where a test says so.
  const email = { ...settings.email, transport: { kind: 'none' } } as const
  let current = await open({ ...settings, rateLimits: false, email, ...overrides })
  return {
    kind,
    clock,
    warnings,
    get app() {
      return current.app
    },
    get context() {
      return current.context
    },
    get settings() {
      return current.context.settings
    },
    ...createCalls((method, path, call) => inject(current.app, method, path, call)),
    async restart(changed = {}) {
      const { settings: before, clock: time } = current.context
      const now = time.now()
      await current.close()
      current = await open({ ...before, ...changed })
      // On PostgreSQL a start measures the time anew, and so loses what the test has advanced.
      clock.advance(now - current.context.clock.now())
    },
    async close() {
      await current.close()
      await database.drop()
    },
  }
}

async function openServer(settings: Settings, clock: Clock, warn: Warn) {
  for (const secret of [settings.secretKey, settings.secretKeyPrevious]) rememberSecret(secret)
  const context = await createContext(settings, clock, warn)
  const app = await createApp(context, createTestLog())
  const close = async () => {
    await app.close()
    await context.close()
  }
  return { context, app, close }
}

let people = 0

function createCalls(call: Calls['call']): Calls {
  const post = async (path: string, given: Call): Promise<TokenPair> => {
    rememberPasswords(given.json, given.form)
    const reply = await call('POST', path, given)
    if (reply.status !== 200) throw new Error(`${path}: ${reply.status} ${reply.text}`)
    return reply.body
  }
  return {
    call,
    async register(given = {}, from) {
      people += 1
      const username = given.username ?? `person${people}`
      const person = { username, email: `${username}@example.com`, password: PASSWORD, ...given }
      return { ...person, tokens: await post(`${API}/auth/register`, { json: person, ...from }) }
    },
    login: ({ username, password }, from) =>
      post(`${API}/auth/login`, { form: { username, password }, ...from }),
    refresh: (refreshToken, from) =>
      call('POST', `${API}/auth/refresh`, { json: { refresh_token: refreshToken }, ...from }),
    me: (accessToken) => call('GET', `${API}/users/me`, { token: accessToken }),
  }
}

/** Calls an app without a socket. */
export async function inject(app: App, method: string, url: string, call: Call = {}): Promise<Reply> {
  const { json, form, token, headers, ip = '127.0.0.1', userAgent = 'test-agent' } = call
  const body = json === undefined ? form && new URLSearchParams(form).toString() : JSON.stringify(json)
  const payload = call.payload ?? body
  const reply = await app.inject({
    method: method as 'GET',
    url,
    remoteAddress: ip,
    headers: {
      'user-agent': userAgent,
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...(form && { 'content-type': 'application/x-www-form-urlencoded' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(payload !== undefined && { payload }),
  })
  const text = reply.payload
  // A reply to HEAD has the headers of a body, and none (RFC 9110 section 9.3.2).
  const isJson = text !== '' && String(reply.headers['content-type'] ?? '').includes('json')
  return {
    status: reply.statusCode,
    headers: reply.headers,
    text,
    body: isJson ? JSON.parse(text) : undefined,
  }
}
