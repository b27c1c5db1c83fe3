import assert from 'node:assert/strict'
import fc from 'fast-check'
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/clock.ts'
import type { Session, User } from '../../src/database/tables.ts'
import { disableUser } from '../../src/features/users/set-active.ts'
import { API, PASSWORD, type Reply, type TestServer } from '../kit.ts'
import {
  beginSession,
  copySession,
  generationOf,
  type Held,
  hasRunOut,
  LIMITS,
  lastRecovered,
  type ModelSession,
  type Outcome,
  type Party,
  predictRefresh,
} from './session-model.ts'
import { DEN, HOME, type Place, ROAD, sessionOf } from './sessions.ts'
import { claimsOf } from './tokens.ts'

/** What the model knows. */
export type Model = {
  session: ModelSession
  isUserActive: boolean
  held: Record<Party, Held | undefined>
  /** Access tokens that were received, and when. */
  accessTokens: { text: string; at: number }[]
  backup: ModelSession | undefined
  /** The newest generation that a restore has undone: tokens up to it are in both parties' reach. */
  undoneUpTo: number
  /** The generation after the thief's first use of what was stolen; both may reach it, one may pass it. */
  theftUsedAt: number | undefined
  passedTheft: Set<Party>
  /** Whether the thief has ever used a stolen token in this session: the owner's luck is no longer promised. */
  isTheftUsed: boolean
  /** Generations of which the owner came late for the reply. */
  lateFor: Set<number>
}

/** The same things in the server. */
export type Real = {
  server: TestServer
  user: User
  backup: Session | undefined
}

type Command = fc.AsyncCommand<Model, Real>

const PLACES = { home: HOME, road: ROAD, update: { ...HOME, userAgent: 'owner/2.0' } }
type OwnersPlace = keyof typeof PLACES

/** Signs in at the start of a run. */
export async function signIn({ server, user }: Real): Promise<Model> {
  const tokens = await server.login({ username: user.username, password: PASSWORD }, HOME)
  const now = server.context.clock.now()
  const session = beginSession(now, HOME, tokens.refresh_token)
  const owner = { generation: 0, text: tokens.refresh_token }
  return {
    session,
    isUserActive: true,
    held: { owner, thief: undefined },
    accessTokens: [{ text: tokens.access_token, at: now }],
    backup: undefined,
    undoneUpTo: -1,
    theftUsedAt: undefined,
    passedTheft: new Set(),
    isTheftUsed: false,
    lateFor: new Set(),
  }
}

const command = (
  name: string,
  run: (model: Model, real: Real) => Promise<unknown>,
  check: (model: Model) => boolean = () => true,
): Command => ({
  check,
  async run(model, real) {
    await run(model, real)
    await compareState(model, real)
  },
  toString: () => name,
})

const signInAgain = command(
  'sign in',
  async (model, real) => Object.assign(model, await signIn(real)),
  ({ session, isUserActive }) => session.ended && isUserActive,
)

const refresh = (place: OwnersPlace, fate: 'received' | 'lost') =>
  command(`owner refreshes at ${place} - reply ${fate}`, async (model, real) => {
    const { server } = real
    const held = mustHold(model, 'owner')
    const reply = await server.refresh(held.text, PLACES[place])
    checkRefresh(model, server, held, 'owner', PLACES[place], reply)
    if (fate === 'received') receive(model, server, 'owner', reply)
  })

const refreshAtOnce = (count: number, place: OwnersPlace, fate: 'received' | 'lost') =>
  command(
    `owner refreshes ${count} times at once at ${place} - replies ${fate}`,
    async (model, { server }) => {
      const held = mustHold(model, 'owner')
      const calls = Array.from({ length: count }, () => server.refresh(held.text, PLACES[place]))
      const replies = await Promise.all(calls)
      const [first] = replies
      assert.ok(first)
      // One of them rotates, and the others are its retries; or one ends the session, and the others come after that.
      const isReuse = replies.find(({ body }) => body.code === 'refresh_token_reused')
      const winner = isReuse ?? first
      checkRefresh(model, server, held, 'owner', PLACES[place], winner)
      for (const reply of replies) {
        if (winner.status === 200) checkRefresh(model, server, held, 'owner', PLACES[place], reply)
        else assert.equal(reply.status, 401)
      }
      if (fate === 'received') receive(model, server, 'owner', winner)
    },
  )

const steal = command("thief copies the owner's token", async (model) => {
  model.held.thief = mustHold(model, 'owner')
  model.theftUsedAt = undefined
  model.passedTheft.clear()
})

const refreshAsThief = command(
  'thief refreshes',
  async (model, { server }) => {
    const held = mustHold(model, 'thief')
    const reply = await server.refresh(held.text, DEN)
    checkRefresh(model, server, held, 'thief', DEN, reply)
    receive(model, server, 'thief', reply)
  },
  ({ held }) => held.thief !== undefined,
)

const advance = (ms: number) => command(`${ms} ms pass`, async (_, { server }) => server.clock.advance(ms))

const restart = command('the server restarts', (_, { server }) => server.restart())

const backUp = command('the sessions are backed up', async (model, real) => {
  model.backup = copySession(model.session)
  real.backup = await sessionOf(real.server, mustHold(model, 'owner').text)
})

const restore = command(
  'the sessions are restored',
  async (model, { server, backup }) => {
    assert.ok(backup && model.backup)
    const { id, ...columns } = backup
    await server.context.db.updateTable('sessions').set(columns).where('id', '=', id).execute()
    model.undoneUpTo = Math.max(model.undoneUpTo, model.session.newest)
    model.session = copySession(model.backup)
    // What the thief did since is forgotten: it counts anew from the next use.
    model.theftUsedAt = undefined
    model.passedTheft.clear()
  },
  ({ backup }) => backup !== undefined,
)

const logOut = (party: Party) =>
  command(
    `${party} signs out`,
    async (model, { server }) => {
      const held = mustHold(model, party)
      const isExpired = hasExpired(held, server)
      const reply = await server.call('POST', `${API}/auth/logout`, { json: { refresh_token: held.text } })
      assert.equal(reply.status, isExpired ? 401 : 204)
      if (!isExpired) model.session.ended = true
    },
    ({ held }) => held[party] !== undefined,
  )

const disable = command(
  'the user is disabled',
  async (model, { server, user }) => {
    assert.equal(await disableUser(server.context, user.id), true)
    model.isUserActive = false
    model.session.ended = true
  },
  ({ isUserActive }) => isUserActive,
)

const advances = fc
  .oneof(
    { weight: 6, arbitrary: fc.constantFrom(1, SECOND, 14 * SECOND, 30 * SECOND - 1, 30 * SECOND) },
    { weight: 4, arbitrary: fc.constantFrom(30 * SECOND + 1, MINUTE, HOUR, 12 * HOUR) },
    { weight: 1, arbitrary: fc.constantFrom(DAY - 1, DAY, DAY + 1, 3 * DAY - 1000, 3 * DAY - 1, 3 * DAY) },
  )
  .map(advance)

const place = fc.constantFrom<OwnersPlace>('home', 'home', 'home', 'home', 'road', 'road', 'update')
const fate = fc.constantFrom<'received' | 'lost'>('received', 'received', 'lost')
const single = fc.tuple(place, fate).map((input) => refresh(...input))
const several = fc.tuple(fc.integer({ min: 2, max: 5 }), place, fate).map((input) => refreshAtOnce(...input))

const anything = fc.oneof(
  { weight: 40, arbitrary: single },
  { weight: 10, arbitrary: several },
  { weight: 24, arbitrary: advances },
  { weight: 5, arbitrary: fc.constant(steal) },
  { weight: 10, arbitrary: fc.constant(refreshAsThief) },
  { weight: 4, arbitrary: fc.constant(backUp) },
  { weight: 3, arbitrary: fc.constant(restore) },
  { weight: 4, arbitrary: fc.constant(signInAgain) },
  { weight: 1, arbitrary: fc.constant(restart) },
  { weight: 1, arbitrary: fc.constantFrom(logOut('owner'), logOut('thief')) },
  { weight: 1, arbitrary: fc.constant(disable) },
)

/** Up to 30 steps, of lengths spread evenly. */
export const commands = (replayPath?: string) =>
  fc.commands([anything], { maxCommands: 30, size: 'max', ...(replayPath && { replayPath }) })

function mustHold({ held }: Model, party: Party): Held {
  const token = held[party]
  assert.ok(token)
  return token
}

/** As the token itself says (RFC 7519 section 4.1.4), and for who lost a reply at its end as long as they may retry. */
function hasExpired({ text }: Held, { context, settings }: TestServer): boolean {
  const retryMs = Math.max(settings.reuseWindowMs, settings.recoveryMs)
  const seconds = claimsOf(text).exp - Math.floor((context.clock.now() - retryMs - SECOND) / SECOND)
  return seconds <= 0
}

function checkRefresh(
  model: Model,
  server: TestServer,
  held: Held,
  party: Party,
  place: Place,
  reply: Reply,
): void {
  const { session } = model
  const now = server.context.clock.now()
  const isOwnersDue = party === 'owner' && mayExpectToGoOn(model, held, place, now)
  const isOutside = hasExpired(held, server) || !model.isUserActive
  const outcome = isOutside ? 'invalid' : predictRefresh(session, held.generation, { at: now, place })
  checkReply(session, outcome, reply)
  if (party === 'owner' && outcome === 'recovered') model.lateFor.add(session.newest)
  if (isOwnersDue) assert.equal(reply.status, 200, 'an honest client that lost replies was signed out')
  if (reply.status === 200) noteService(model, party)
}

function checkReply(session: ModelSession, outcome: Outcome, { status, body, text }: Reply): void {
  if (outcome === 'invalid' || outcome === 'reused') {
    assert.deepEqual([status, body.code], [401, `refresh_token_${outcome}`], outcome)
    return
  }
  assert.equal(status, 200, `${outcome}: ${text}`)
  const successor = generationOf(session, session.newest)
  assert.equal(claimsOf(body.refresh_token).gen, session.newest, outcome)
  const others = [...session.generations.values()].filter((generation) => generation !== successor)
  assert.ok(!others.some((generation) => generation.text === body.refresh_token), 'an old token again')
  successor.text ??= body.refresh_token
  assert.equal(body.refresh_token, successor.text, 'the same successor, byte for byte')
}

/** The first invariant, in the words of its name. */
function mayExpectToGoOn(model: Model, held: Held, place: Place, now: number): boolean {
  const { session, lateFor, isTheftUsed, isUserActive } = model
  if (isTheftUsed || session.ended || !isUserActive || hasRunOut(session, now)) return false
  if (held.generation >= session.newest) return true
  const { at, recovery, ...lost } = generationOf(session, session.newest)
  const last = recovery ?? { at, place: lost.place }
  if (last.place === place && now - last.at <= LIMITS.reuseWindowMs) return true
  const wasLate = lateFor.has(session.newest) || lateFor.has(session.newest - 1)
  return !wasLate && now - at <= LIMITS.recoveryMs
}

/**
 * The second invariant: once the stolen token was used, only one of the two gets past that generation. Tokens that a
 * restore has undone are honoured, whoever holds them: then it is the generation after those that only one gets past.
 */
function noteService(model: Model, party: Party): void {
  const { session, passedTheft } = model
  if (party === 'thief') {
    model.isTheftUsed = true
    model.theftUsedAt ??= Math.max(session.newest, model.undoneUpTo + 1)
  }
  if (model.theftUsedAt === undefined || session.newest <= model.theftUsedAt) return
  passedTheft.add(party)
  assert.ok(passedTheft.size < 2, 'a stolen token and its owner both went on')
}

function receive(model: Model, { context }: TestServer, party: Party, { status, body }: Reply): void {
  if (status !== 200) return
  model.held[party] = { generation: claimsOf(body.refresh_token).gen, text: body.refresh_token }
  model.accessTokens.push({ text: body.access_token, at: context.clock.now() })
}

/** One row, as the model has it; and the oldest access token that has not expired is honoured as long as the session lives. */
async function compareState(model: Model, { server }: Real): Promise<void> {
  const { session, isUserActive } = model
  const row = await sessionOf(server, mustHold(model, 'owner').text)
  assert.deepEqual(
    { generation: row.generation, recovered: row.recovered_generation, ended: row.revoked_at !== null },
    { generation: session.newest, recovered: lastRecovered(session), ended: session.ended },
  )
  const now = server.context.clock.now()
  const second = (time: number) => Math.floor(time / SECOND)
  const token = model.accessTokens.find(({ at }) => {
    const end = Math.min(at + LIMITS.accessTokenTtlMs, session.startedAt + LIMITS.sessionMaxAgeMs)
    return second(end) > second(now)
  })
  if (!token) return
  const isAlive = !session.ended && !hasRunOut(session, now)
  const aliveStatus = isAlive ? 200 : 401
  assert.equal((await server.me(token.text)).status, isUserActive ? aliveStatus : 400)
}
