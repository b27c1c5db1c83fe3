import assert from 'node:assert/strict'
import { it } from 'node:test'
import { DAY, SECOND } from '../../src/core/clock.ts'
import { PAGE_PATHS } from '../../src/features/email/links.ts'
import { issueEmailToken, type NewEmailToken } from '../../src/features/email-tokens/tokens.ts'
import { createLimits, LIMITS, type LimitName } from '../../src/http/limits.ts'
import { API, onEachDatabase, PASSWORD, type Person, type Reply, type TestServer } from '../kit.ts'
import {
  deviceTokenOf,
  guess,
  nextAddress,
  requestFrom,
  retryAfter,
  signIn,
  tally,
  times,
  WRONG,
} from '../support/guesses.ts'
import { post } from '../support/mails.ts'
import { parseMetrics } from '../support/metrics.ts'
import { mailSettings } from '../support/outbox.ts'
import { claimsOf } from '../support/tokens.ts'

const METRICS_TOKEN = 'scrape-7Hq2-Rw8-tLk4-Yb6-Mm3-Jj9-Xx5'
const MAILS = { SMTP_URL: 'smtp://127.0.0.1:1', EMAIL_FROM: 'no-reply@auth.example.com', MAGIC_LINKS: 'true' }
const NEW_PASSWORD = 'another horse battery staple'
const THREADS = 1

/** Somebody with an account, at an address that nobody has used before. */
type Client = { server: TestServer; person: Person; id: string; ip: string }
type Route = (client: Client) => Promise<Reply>
/** Whom a limit is for, and the routes that ask for it. */
type Row = { subject: (client: Client) => string[]; routes: Record<string, Route> }

const posting =
  (path: string, json: (client: Client) => object): Route =>
  (client) =>
    post(client.server, path, json(client), { ip: client.ip })
const change =
  (method: string, json: (client: Client) => object): Route =>
  (client) =>
    client.server.call(method, `${API}/users/me`, {
      json: json(client),
      token: client.person.tokens.access_token,
      ip: client.ip,
    })
const pressing =
  (path: string, form: Record<string, string>): Route =>
  ({ server, ip }) =>
    server.call('POST', path, { form, ip, headers: { origin: 'null' } })

const nobody = () => `nobody.${nextAddress()}`
/** An address that nobody has, which whoever asks may have sent something to. */
const otherEmail = ({ person }: Client) => `other.${person.email}`

const signingIn: Route = ({ server, person, ip }) => guess(server, person.username, { ip })
const signingInOnDevice: Route = ({ server, person, ip }) => {
  const form = { username: person.username, password: WRONG, device_token: deviceTokenOf(person.tokens) }
  return signIn(server, form, { ip })
}
const deviceOf = ({ server, person }: Client) =>
  server.context.tokens.verifyDevice(deviceTokenOf(person.tokens)) ?? assert.fail('no device')

const PROOFS_OF_PASSWORD: Record<string, Route> = {
  'PATCH /users/me': change('PATCH', () => ({ current_password: WRONG })),
  'PUT /users/me': change('PUT', () => ({ current_password: WRONG })),
  'DELETE /users/me': change('DELETE', () => ({ current_password: WRONG })),
}
const issue = ({ context }: TestServer, token: NewEmailToken) =>
  context.db.transaction().execute((trx) => issueEmailToken(context, trx, token))
const issueChange = (client: Client) =>
  issue(client.server, { kind: 'change_email', email: otherEmail(client), userId: client.id })
const PASSWORDS_WITH_MAILS: Record<string, Route> = {
  'POST /auth/verify-email': async (client) => {
    const { token } = await issueChange(client)
    return posting('/auth/verify-email', () => ({ token, password: WRONG }))(client)
  },
  'POST /email/confirm': async (client) => {
    const { token } = await issueChange(client)
    return pressing('/email/confirm', { token, password: WRONG })(client)
  },
}

/** By the kind of what is mailed, which counts by itself. */
const MAILS_ASKED_FOR: Record<string, Record<string, Route>> = {
  reset: {
    'POST /auth/forgot-password': posting('/auth/forgot-password', (client) => ({
      email: otherEmail(client),
    })),
  },
  verify: {
    'POST /auth/verify-email/resend': posting('/auth/verify-email/resend', (client) => ({
      email: otherEmail(client),
    })),
  },
  'sign-in': {
    'POST /auth/sign-in-link': posting('/auth/sign-in-link', (client) => ({ email: otherEmail(client) })),
  },
  change: {
    'PATCH /users/me': change('PATCH', (client) => ({
      email: otherEmail(client),
      current_password: PASSWORD,
    })),
  },
}
const ALL_MAILS: Record<string, Route> = Object.assign({}, ...Object.values(MAILS_ASKED_FOR))
const bringing = (path: string, more: object = {}) =>
  posting(path, ({ person: { email } }) => ({ email, code: '000000', ...more }))
/** The same of codes. */
const CODES: Record<string, Record<string, Route>> = {
  account: {
    'POST /auth/verify-email': bringing('/auth/verify-email'),
    'POST /auth/reset-password': bringing('/auth/reset-password', { new_password: NEW_PASSWORD }),
  },
  'sign-in': {
    'POST /auth/sign-in-link/redeem': bringing('/auth/sign-in-link/redeem', { request_token: 'x' }),
  },
}
const PROOFS: Record<string, Route> = {
  ...Object.assign({}, ...Object.values(CODES)),
  'POST /auth/undo-email-change': posting('/auth/undo-email-change', () => ({ token: 'x' })),
  ...Object.fromEntries(
    Object.values(PAGE_PATHS).map((path) => [`POST ${path}`, pressing(path, { token: 'x' })]),
  ),
}

const REGISTERING = {
  'POST /auth/register': posting('/auth/register', () => ({
    username: 'somebody',
    email: 'no address',
    password: PASSWORD,
  })),
}
const FOLLOWING: Record<string, Route> = {
  'GET /revocations, a page': ({ server, ip }) => server.call('GET', `${API}/revocations`, { ip }),
  'GET /revocations, the stream': ({ server, ip }) =>
    server.call('GET', `${API}/revocations`, { ip, headers: { accept: 'text/event-stream' } }),
}

const byAddress = ({ ip }: Client) => [ip]
const byUser = ({ id }: Client) => [id]
const byNobody = () => []
const LOGIN = { 'POST /auth/login': signingIn }
const LOGIN_ON_DEVICE = { 'POST /auth/login': signingInOnDevice }
const CHANGES = {
  'PATCH /users/me': change('PATCH', () => ({ username: 'x' })),
  'PUT /users/me': change('PUT', () => ({ username: 'x' })),
}

/** A row for each kind of mail or code. */
const ofEach = (
  kinds: Record<string, Record<string, Route>>,
  subject: (kind: string, client: Client) => string[],
): Row[] =>
  Object.entries(kinds).map(([kind, routes]) => ({ subject: (client) => subject(kind, client), routes }))

/** They count, and refuse nothing. */
const COUNTING = ['failed-account-of-address', 'failed-login-server'] as const

const TABLE: Record<Exclude<LimitName, (typeof COUNTING)[number]>, Row[]> = {
  'login-device': [{ subject: (client) => [client.id, deviceOf(client).jti], routes: LOGIN_ON_DEVICE }],
  'login-devices-account': [{ subject: byUser, routes: LOGIN_ON_DEVICE }],
  'login-address': [{ subject: byAddress, routes: LOGIN }],
  'login-address-account': [{ subject: ({ ip, person }) => [ip, person.username], routes: LOGIN }],
  'login-account': [{ subject: ({ person }) => [person.username], routes: LOGIN }],
  'failed-login-address': [{ subject: byAddress, routes: LOGIN }],
  'failed-accounts-address': [
    {
      subject: byAddress,
      routes: { 'POST /auth/login': ({ server, ip }) => guess(server, nobody(), { ip }) },
    },
  ],
  'login-server': [{ subject: byNobody, routes: LOGIN }],
  'reauthentication-address': [{ subject: byAddress, routes: PROOFS_OF_PASSWORD }],
  'reauthentication-account': [
    { subject: byUser, routes: { ...PROOFS_OF_PASSWORD, ...PASSWORDS_WITH_MAILS } },
  ],
  'change-account': [{ subject: byUser, routes: CHANGES }],
  'register-address': [{ subject: byAddress, routes: REGISTERING }],
  'register-server': [{ subject: byNobody, routes: REGISTERING }],
  'refresh-address': [
    {
      subject: byAddress,
      routes: { 'POST /auth/refresh': ({ server, ip }) => server.refresh('x', { ip }) },
    },
  ],
  'mail-address': [{ subject: byAddress, routes: ALL_MAILS }],
  'mail-address-account': ofEach(MAILS_ASKED_FOR, (kind, client) => [kind, client.ip, otherEmail(client)]),
  'mail-account': ofEach(MAILS_ASKED_FOR, (kind, client) => [kind, otherEmail(client)]),
  'mail-user': [{ subject: byUser, routes: { ...MAILS_ASKED_FOR.change } }],
  'mail-server': [{ subject: byNobody, routes: ALL_MAILS }],
  'code-address': [{ subject: byAddress, routes: PROOFS }],
  'code-address-account': ofEach(CODES, (kind, { ip, person }) => [kind, ip, person.email]),
  'code-account': ofEach(CODES, (kind, { person }) => [kind, person.email]),
  'code-account-day': ofEach(CODES, (kind, { person }) => [kind, person.email]),
  'code-server': [{ subject: byNobody, routes: PROOFS }],
  'introspect-address': [
    {
      subject: byAddress,
      routes: {
        'POST /auth/introspect': posting('/auth/introspect', () => ({ token: 'x' })),
        'POST /auth/revoke': posting('/auth/revoke', () => ({ token: 'x' })),
      },
    },
  ],
  'revocations-address': [{ subject: byAddress, routes: FOLLOWING }],
}

/** How often each limit has refused, as the metrics tell. */
async function refusalsOf(server: TestServer): Promise<Record<string, number>> {
  const { text } = await server.call('GET', '/metrics', { token: METRICS_TOKEN })
  const told = parseMetrics(text)
  const name = 'postern_limited_total'
  return Object.fromEntries(told.labels(name).map((labels) => [labels.limit, told.value(name, labels)]))
}

/** Leaves room for one: that is let through, the next refused by this limit, and one let through after the window. */
async function assertAsked(
  server: TestServer,
  name: LimitName,
  subject: string[],
  call: () => Promise<Reply>,
): Promise<void> {
  const { windowMs, isPerThread } = LIMITS[name]
  const most = LIMITS[name].most * (isPerThread ? THREADS : 1)
  const limits = createLimits(server.context)
  const standing = await limits.count(requestFrom(), name, subject, 0)
  await limits.count(requestFrom(), name, subject, most - 1 - standing)
  const before = await refusalsOf(server)
  const last = await call()
  assert.ok(last.status !== 429 && last.status < 500, last.text)
  const refused = await call()
  assert.equal(refused.status, 429, refused.text)
  // A page is none.
  assert.equal(refused.body?.code ?? 'too_many_requests', 'too_many_requests')
  assert.equal(retryAfter(refused), windowMs / SECOND)
  assert.deepEqual(await refusalsOf(server), { ...before, [name]: (before[name] ?? 0) + 1 })
  server.clock.advance(windowMs)
  const later = await call()
  assert.equal(later.status, last.status, later.text)
}

it('every limit that refuses anything has a route here that asks for it', () => {
  const names = Object.keys(LIMITS).filter((name) => !COUNTING.some((other) => other === name))
  assert.deepEqual(Object.keys(TABLE).sort(), names.sort())
})

onEachDatabase('routes ask for their limits', ({ share }) => {
  const startServer = (env: Record<string, string> = {}) =>
    share({
      rateLimits: true,
      hashConcurrency: THREADS,
      // Windows of a day pass while somebody is signed in.
      accessTokenTtlMs: 2 * DAY,
      metrics: { at: 'route', token: METRICS_TOKEN },
      ...mailSettings({ ...MAILS, ...env }),
    })

  for (const name of Object.keys(TABLE) as (keyof typeof TABLE)[]) {
    for (const { subject, routes } of TABLE[name]) {
      for (const [title, route] of Object.entries(routes)) {
        it(`[V6.3.1] ${title} asks for ${name}: the last there is room for passes, one more is refused, and after the window all begins anew`, async () => {
          const server = await startServer()
          const person = await server.register({}, { ip: nextAddress() })
          const id = String(claimsOf(person.tokens.access_token).sub)
          const client = { server, person, id, ip: nextAddress() }
          await assertAsked(server, name, subject(client), () => route(client))
        })
      }
    }
  }

  const STRICT = { REQUIRE_EMAIL_VERIFICATION: 'true' }
  let people = 0
  const register = (server: TestServer, email: string, ip: string) => {
    people += 1
    return post(server, '/auth/register', { username: `strict${people}`, email, password: PASSWORD }, { ip })
  }
  for (const name of ['mail-address-account', 'mail-account'] as const) {
    it(`[V6.3.1] POST /auth/register asks for ${name} where addresses are verified first`, async () => {
      const server = await startServer(STRICT)
      const email = `${name}@example.org`
      const ip = nextAddress()
      const subject = name === 'mail-account' ? ['register', email] : ['register', ip, email]
      await assertAsked(server, name, subject, () => register(server, email, ip))
    })
  }

  it('registrations, refused ones too, count for nothing among the mails of their address', async () => {
    const server = await startServer(STRICT)
    const ip = nextAddress()
    const replies: Reply[] = []
    for (const _ of times(7)) replies.push(await register(server, 'again@example.org', ip))
    assert.deepEqual(tally(replies), { 202: 5, too_many_requests: 2 })
    assert.equal(await createLimits(server.context).count(requestFrom(), 'mail-address', [ip], 0), 0)
  })

  it('[V6.3.1] POST /auth/verify-email asks for reauthentication-account where a registration waits for its password', async () => {
    const server = await startServer(STRICT)
    const email = 'waits@example.org'
    const ip = nextAddress()
    assert.equal((await register(server, email, ip)).status, 202)
    const { id } = await server.context.db
      .selectFrom('registrations')
      .select('id')
      .where('email_key', '=', email)
      .executeTakeFirstOrThrow()
    const { token } = await issue(server, { kind: 'register', email, registrationId: id })
    const confirm = () => post(server, '/auth/verify-email', { token, password: WRONG }, { ip })
    await assertAsked(server, 'reauthentication-account', [id], confirm)
  })
})
