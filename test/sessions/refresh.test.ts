import assert from 'node:assert/strict'
import { it } from 'node:test'
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/clock.ts'
import { onEachDatabase } from '../kit.ts'
import { DEN, eventsOf, HOME, mustFail, mustRefresh, ROAD, sessionOf, signIn } from '../support/sessions.ts'
import { claimsOf } from '../support/tokens.ts'

const WINDOW_MS = 30 * SECOND
const RECOVERY_MS = 24 * HOUR

onEachDatabase('refresh', ({ share }) => {
  it('a refresh moves the session on by one generation and remembers from where', async () => {
    const server = await share()
    const first = await signIn(server)
    server.clock.advance(MINUTE)
    const second = await mustRefresh(server, first, ROAD)
    const session = await sessionOf(server, second)
    assert.deepEqual([claimsOf(first).gen, claimsOf(second).gen, session.generation], [0, 1, 1])
    assert.deepEqual([session.ip, session.user_agent], [ROAD.ip, ROAD.userAgent])
    assert.equal(session.rotated_at, server.context.clock.now())
    assert.equal(claimsOf(second).iat, Math.floor(session.rotated_at / SECOND))
    assert.equal(session.recovered_generation, null)
  })

  it('[RFC9068-2.2b] a refresh repeats who signed in, how and when, under a new jti', async () => {
    const server = await share()
    const { tokens } = await server.register({}, HOME)
    server.clock.advance(MINUTE)
    const reply = await server.refresh(tokens.refresh_token, HOME)
    const { jti, iat, exp, ...before } = claimsOf(tokens.access_token)
    const { jti: newJti, iat: newIat, exp: newExp, ...after } = claimsOf(reply.body.access_token)
    assert.deepEqual(after, before)
    assert.deepEqual(after.amr, ['pwd'])
    assert.notEqual(newJti, jti)
    assert.deepEqual([newIat - iat, newExp - exp], [60, 60])
  })

  it('a refresh never kills the previous access token', async () => {
    const server = await share()
    const { tokens } = await server.register({}, HOME)
    const next = await mustRefresh(server, tokens.refresh_token)
    await mustRefresh(server, next)
    assert.equal((await server.me(tokens.access_token)).status, 200)
  })

  it('a retry gets the same successor byte for byte, also later and after a restart, and a fresh access token', async () => {
    const server = await share()
    const first = await signIn(server)
    server.clock.advance(1234)
    const winner = await server.refresh(first, HOME)
    server.clock.advance(7 * SECOND)
    const retry = await server.refresh(first, HOME)
    await server.restart()
    const late = await server.refresh(first, HOME)
    for (const reply of [retry, late]) {
      assert.equal(reply.body.refresh_token, winner.body.refresh_token)
      assert.notEqual(reply.body.access_token, winner.body.access_token)
      assert.equal((await server.me(reply.body.access_token)).status, 200)
    }
    assert.equal((await sessionOf(server, first)).generation, 1)
  })

  it('the free window holds to the millisecond, any number of times, and needs no recovery', async () => {
    const server = await share({ recoveryMs: 0 })
    const first = await signIn(server)
    const successor = await mustRefresh(server, first)
    for (const ms of [0, 1, WINDOW_MS - 2, 1]) {
      server.clock.advance(ms)
      assert.equal(await mustRefresh(server, first), successor)
    }
    server.clock.advance(1)
    await mustFail(server, first, 'refresh_token_reused')
    await mustFail(server, successor, 'refresh_token_invalid')
  })

  it('a retry inside the window spends no recovery, one a millisecond later does', async () => {
    const server = await share()
    const first = await signIn(server)
    await mustRefresh(server, first)
    server.clock.advance(WINDOW_MS)
    await mustRefresh(server, first)
    assert.deepEqual(await eventsOf(server, first), [])
    server.clock.advance(1)
    await mustRefresh(server, first)
    assert.deepEqual(await eventsOf(server, first), ['session.recovered'])
    assert.equal((await sessionOf(server, first)).recovered_generation, 1)
  })

  it('the free window closes by itself as soon as the successor is used', async () => {
    const server = await share()
    const first = await signIn(server)
    await mustRefresh(server, await mustRefresh(server, first))
    await mustFail(server, first, 'refresh_token_reused')
  })

  it('the free window is for the winner: another network or agent needs the recovery', async () => {
    const server = await share({ recoveryMs: 0 })
    for (const other of [ROAD, { ...HOME, userAgent: 'other/2.0' }, { ...HOME, ip: '192.0.2.2' }]) {
      const first = await signIn(server)
      await mustRefresh(server, first)
      await mustFail(server, first, 'refresh_token_reused', other)
    }
  })

  it('the free window takes one IPv6 /64 for one address, and an IPv4-mapped address for IPv4', async () => {
    const server = await share({ recoveryMs: 0 })
    const at = (ip: string) => ({ ...HOME, ip })
    const alike = [
      ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff'],
      ['::ffff:192.0.2.1', '192.0.2.1'],
    ]
    for (const [one = '', other = ''] of alike) {
      const first = await signIn(server)
      assert.equal(await mustRefresh(server, first, at(one)), await mustRefresh(server, first, at(other)))
    }
    const different = [
      ['2001:db8:1:2::1', '2001:db8:1:3::1'],
      ['192.0.2.1', '2001:db8:1:2::1'],
      ['::ffff:192.0.2.1', '::ffff:192.0.2.2'],
    ]
    for (const [one = '', other = ''] of different) {
      const first = await signIn(server)
      await mustRefresh(server, first, at(one))
      await mustFail(server, first, 'refresh_token_reused', at(other))
    }
  })

  it('a reuse window of 0 still joins what happens in the same millisecond, and nothing later', async () => {
    const server = await share({ reuseWindowMs: 0, recoveryMs: 0 })
    const first = await signIn(server)
    assert.equal(await mustRefresh(server, first), await mustRefresh(server, first))
    server.clock.advance(1)
    await mustFail(server, first, 'refresh_token_reused')
  })

  it('a reply lost once may be had again from elsewhere, up to the end of the recovery and not a millisecond later', async () => {
    const server = await share({ recoveryMs: RECOVERY_MS })
    const [timely, tooLate] = [await signIn(server), await signIn(server)]
    const successor = await mustRefresh(server, timely)
    await mustRefresh(server, tooLate)
    server.clock.advance(RECOVERY_MS)
    assert.equal(await mustRefresh(server, timely, ROAD), successor)
    server.clock.advance(1)
    await mustFail(server, tooLate, 'refresh_token_reused', ROAD)
  })

  it('a reply lost at the last moment of an idle session may be had again, within the window or late', async () => {
    const server = await share()
    const { refreshTokenTtlMs } = server.settings
    const [soon, late] = [await signIn(server), await signIn(server)]
    server.clock.advance(refreshTokenTtlMs - 1)
    const lost = [await mustRefresh(server, soon), await mustRefresh(server, late)]
    server.clock.advance(WINDOW_MS)
    assert.equal(await mustRefresh(server, soon), lost[0])
    server.clock.advance(2 * DAY)
    assert.equal(await mustRefresh(server, late, ROAD), lost[1])
  })

  it('a recovery opens the free window anew for the recoverer, and for nobody else', async () => {
    const server = await share()
    const [first, other] = [await signIn(server), await signIn(server)]
    for (const token of [first, other]) await mustRefresh(server, token)
    server.clock.advance(HOUR)
    for (const token of [first, other]) await mustRefresh(server, token, ROAD)
    server.clock.advance(WINDOW_MS)
    await mustRefresh(server, first, ROAD)
    await mustFail(server, other, 'refresh_token_reused', HOME)
    server.clock.advance(1)
    await mustFail(server, first, 'refresh_token_reused', ROAD)
  })

  it('a recovery of the past opens no window for what came after it', async () => {
    const server = await share()
    const first = await signIn(server)
    await mustRefresh(server, first)
    server.clock.advance(HOUR)
    const recovered = await mustRefresh(server, first, ROAD)
    server.clock.advance(HOUR)
    const next = await mustRefresh(server, recovered, ROAD)
    server.clock.advance(WINDOW_MS)
    assert.equal(await mustRefresh(server, recovered, ROAD), next)
    assert.equal((await sessionOf(server, next)).recovered_generation, 1)
  })

  it('[V7.3.1] [RFC9700-4.14.2] a session lasts 7 days from its last use, to the millisecond', async () => {
    const server = await share()
    const [used, unused] = [await signIn(server), await signIn(server)]
    const { iat, exp } = claimsOf(used)
    assert.equal(exp - iat, (7 * DAY) / SECOND)
    server.clock.advance(7 * DAY - 1)
    const next = await mustRefresh(server, used)
    server.clock.advance(1)
    await mustFail(server, unused, 'refresh_token_invalid')
    server.clock.advance(7 * DAY - 2)
    const last = await mustRefresh(server, next)
    server.clock.advance(7 * DAY)
    await mustFail(server, last, 'refresh_token_invalid')
  })

  it('[V7.3.2] a session ends 90 days after its sign-in however much it is used, and no token says otherwise', async () => {
    const server = await share()
    let token = await signIn(server)
    const { created_at: begin, expires_at: end } = await sessionOf(server, token)
    assert.equal(end - begin, 90 * DAY)
    for (let day = 6; day < 90; day += 6) {
      server.clock.advance(6 * DAY)
      token = await mustRefresh(server, token)
      assert.ok(claimsOf(token).exp * SECOND <= end)
    }
    server.clock.advance(6 * DAY - 5 * MINUTE)
    const last = await server.refresh(token, HOME)
    assert.equal(last.body.expires_in, 300)
    for (const name of ['access_token', 'refresh_token']) {
      assert.equal(claimsOf(last.body[name]).exp, Math.floor(end / SECOND))
    }
    server.clock.advance(5 * MINUTE)
    await mustFail(server, last.body.refresh_token, 'refresh_token_invalid')
    assert.equal((await server.me(last.body.access_token)).status, 401)
  })

  it('REFRESH_TOKEN_EXPIRE_DAYS and SESSION_MAX_AGE_DAYS say how long instead', async () => {
    const server = await share({ sessionMaxAgeMs: 3 * DAY, refreshTokenTtlMs: 2 * DAY })
    const [used, unused] = [await signIn(server), await signIn(server)]
    server.clock.advance(2 * DAY - 1)
    const next = await mustRefresh(server, used)
    server.clock.advance(1)
    await mustFail(server, unused, 'refresh_token_invalid')
    assert.equal(claimsOf(next).exp, Math.floor((await sessionOf(server, next)).expires_at / SECOND))
    server.clock.advance(DAY)
    await mustFail(server, next, 'refresh_token_invalid')
  })

  it('REFRESH_RECOVERY_HOURS=0 ends the session at the first late return', async () => {
    const server = await share({ recoveryMs: 0 })
    const first = await signIn(server)
    const lost = await mustRefresh(server, first)
    await mustFail(server, first, 'refresh_token_reused', DEN)
    await mustFail(server, lost, 'refresh_token_invalid')
    assert.equal((await sessionOf(server, first)).revoked_reason, 'reuse_detected')
  })
})
