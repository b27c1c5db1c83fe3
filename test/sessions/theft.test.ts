import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/clock.ts'
import { onEachDatabase, type TestServer } from '../kit.ts'
import { scale } from '../support/scale.ts'
import { DEN, eventsOf, HOME, mustFail, mustRefresh, ROAD, sessionOf, signIn } from '../support/sessions.ts'
import { claimsOf } from '../support/tokens.ts'

onEachDatabase('a stolen refresh token', ({ share }) => {
  it('[V10.4.5] [RFC9700-4.14.2] anything older than the immediate predecessor ends the session at once, whoever sends it', async () => {
    const server = await share()
    for (const from of [HOME, DEN]) {
      const { tokens } = await server.register({}, HOME)
      const second = await mustRefresh(server, tokens.refresh_token)
      const third = await mustRefresh(server, second)
      await mustFail(server, tokens.refresh_token, 'refresh_token_reused', from)
      for (const token of [tokens.refresh_token, second, third]) {
        await mustFail(server, token, 'refresh_token_invalid', from)
      }
      assert.equal((await server.me(tokens.access_token)).status, 401)
      assert.deepEqual(await eventsOf(server, third), ['session.reuse_detected'])
      const session = await sessionOf(server, third)
      assert.equal(session.revoked_reason, 'reuse_detected')
      const told = server.context.db
        .selectFrom('revocations')
        .select('kind')
        .where('subject', '=', session.id)
      assert.deepEqual(await told.execute(), [{ kind: 'session' }])
    }
  })

  it('reuse ends only that session', async () => {
    const server = await share()
    const ada = await server.register({}, HOME)
    const { refresh_token: other } = await server.login(ada, HOME)
    const { refresh_token: oldest } = ada.tokens
    await mustRefresh(server, await mustRefresh(server, oldest))
    await mustFail(server, oldest, 'refresh_token_reused', DEN)
    await mustRefresh(server, other)
  })

  it('two replays at the same instant are one event', async () => {
    const server = await share()
    const first = await signIn(server)
    await mustRefresh(server, await mustRefresh(server, first))
    const replies = await Promise.all(Array.from({ length: 8 }, () => server.refresh(first, DEN)))
    assert.ok(replies.every(({ status }) => status === 401))
    assert.ok(replies.some(({ body }) => body.code === 'refresh_token_reused'))
    assert.deepEqual(await eventsOf(server, first), ['session.reuse_detected'])
  })

  it('the thief goes first: the owner gets one recovery, and whoever comes second after that ends the session', async () => {
    const server = await share()
    for (const [next, last] of [
      [HOME, DEN],
      [DEN, HOME],
    ] as const) {
      const stolen = await signIn(server)
      const branch = await mustRefresh(server, stolen, DEN)
      server.clock.advance(HOUR)
      assert.equal(await mustRefresh(server, stolen, HOME), branch)
      const newest = await mustRefresh(server, branch, next)
      await mustFail(server, branch, 'refresh_token_reused', last)
      await mustFail(server, newest, 'refresh_token_invalid', next)
    }
  })

  it('a thief who follows within the window spends the recovery, and ends the session the next time', async () => {
    const server = await share()
    const stolen = await signIn(server)
    const current = await mustRefresh(server, stolen)
    server.clock.advance(SECOND)
    assert.equal(await mustRefresh(server, stolen, DEN), current)
    assert.deepEqual(await eventsOf(server, stolen), ['session.recovered'])
    server.clock.advance(10 * MINUTE)
    await mustRefresh(server, current)
    server.clock.advance(SECOND)
    await mustFail(server, current, 'refresh_token_reused', DEN)
  })

  it('never two recoveries in a row, however long the time between: days apart the second ends the session', async () => {
    const server = await share()
    const first = await signIn(server)
    const second = await mustRefresh(server, first)
    server.clock.advance(3 * DAY)
    await mustRefresh(server, first, ROAD)
    server.clock.advance(3 * DAY)
    await mustRefresh(server, second, ROAD)
    server.clock.advance(3 * DAY)
    await mustFail(server, second, 'refresh_token_reused', HOME)
  })

  it('nor two of one rotation', async () => {
    const server = await share()
    const first = await signIn(server)
    await mustRefresh(server, first)
    await mustRefresh(server, first, ROAD)
    await mustFail(server, first, 'refresh_token_reused', DEN)
  })

  it('a recovery at every other rotation goes on for ever', async () => {
    const server = await share()
    let token = await signIn(server)
    for (let round = 0; round < 10; round += 1) {
      const lost = await mustRefresh(server, token)
      server.clock.advance(HOUR)
      assert.equal(await mustRefresh(server, token, ROAD), lost)
      token = await mustRefresh(server, lost)
    }
    const events = await eventsOf(server, token)
    assert.deepEqual(events, Array(10).fill('session.recovered'))
  })

  it('thief and owner cannot both go on, on any schedule: dead at the latest at the second rotation after the theft was used', async () => {
    const server = await share({ sessionLimit: 100_000 })
    const ada = await server.register({}, HOME)
    const property = fc.asyncProperty(schedule, async ({ before, turns }) => {
      let token = (await server.login(ada, HOME)).refresh_token
      for (let count = 0; count < before; count += 1) token = await mustRefresh(server, token)
      await playSchedule(server, token, [...turns, ...LAST_TURNS])
    })
    await fc.assert(property, { numRuns: scale(15, 500) })
  })
})

type Turn = { who: 'owner' | 'thief'; afterMs: number; losesReply: boolean }

/** Whatever came before, by then each has met what the other did. */
const LAST_TURNS: Turn[] = (['owner', 'thief', 'owner', 'thief', 'owner', 'thief'] as const).map((who) => ({
  who,
  afterMs: 10 * MINUTE,
  losesReply: false,
}))

const turn: fc.Arbitrary<Turn> = fc.record({
  who: fc.constantFrom('owner', 'thief'),
  afterMs: fc.constantFrom(0, 1, 10 * SECOND, 30 * SECOND, 31 * SECOND, 10 * MINUTE, 5 * HOUR, 40 * HOUR),
  losesReply: fc.boolean(),
})

const schedule = fc.record({ before: fc.nat(3), turns: fc.array(turn, { maxLength: 12 }) })

/** Owner and thief begin with the same token, and each goes on with the newest they hold. */
async function playSchedule(server: TestServer, token: string, turns: Turn[]): Promise<void> {
  const held = { owner: token, thief: token }
  const places = { owner: HOME, thief: DEN }
  let generationBefore: number | undefined
  let generation = claimsOf(token).gen
  let secondRotationBy: Turn['who'] | undefined
  for (const { who, afterMs, losesReply } of turns) {
    server.clock.advance(afterMs)
    const reply = await server.refresh(held[who], places[who])
    if (reply.status !== 200) return
    const reached = claimsOf(reply.body.refresh_token).gen
    if (who === 'thief') generationBefore ??= generation
    const rotations = generationBefore === undefined ? 0 : reached - generationBefore
    if (rotations >= 2) secondRotationBy ??= who
    const isBoth = secondRotationBy !== undefined && secondRotationBy !== who
    assert.ok(!isBoth, `both go on: the session is at generation ${reached}`)
    generation = reached
    if (!(losesReply && who === 'owner')) held[who] = reply.body.refresh_token
  }
  assert.fail('the session outlived every turn')
}
