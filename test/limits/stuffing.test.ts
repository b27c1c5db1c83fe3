import assert from 'node:assert/strict'
import { it } from 'node:test'
import { DAY, HOUR, MINUTE } from '../../src/core/clock.ts'
import { delayAfter } from '../../src/features/passwords/failure-queries.ts'
import { MOST_FAILURES_OF_A_NAME } from '../../src/features/passwords/throttle.ts'
import { LIMITS } from '../../src/http/limits.ts'
import { onEachDatabase, PASSWORD, type Reply, type TestServer } from '../kit.ts'
import {
  guess,
  nextAddress,
  retryAfter,
  signInFromElsewhere,
  signInOnDevice,
  startLimited,
  tally,
  times,
} from '../support/guesses.ts'
import { replaceVerify } from '../support/verifying-passwords.ts'

/** So many addresses, and as many accounts. */
const MANY = MOST_FAILURES_OF_A_NAME + 5
const { most: MOST_ACCOUNTS } = LIMITS['failed-accounts-address']

/**
 * Each address tries each account once. In every round, with a pause after it, it tries one, and each account is tried
 * by one.
 * @returns what each account gave, in order
 */
async function stuff(
  server: TestServer,
  names: string[],
  pauseMs: number,
  meanwhile: () => Promise<void>,
): Promise<Reply[][]> {
  const ips = names.map(() => nextAddress())
  const replies = names.map((): Reply[] => [])
  for (const round of names.keys()) {
    const tries = ips.map(async (ip, n) => {
      const target = (n + round) % names.length
      replies[target]?.push(await guess(server, names[target] ?? '', { ip }))
    })
    await Promise.all(tries)
    await meanwhile()
    server.clock.advance(pauseMs)
  }
  return replies
}

/** In which rounds a try is looked at, as the delays have it. */
function roundsLookedAt(pauseMs: number): number[] {
  const rounds: number[] = []
  let nextTryAt = 0
  for (const round of times(MANY)) {
    if (rounds.length === MOST_FAILURES_OF_A_NAME || round * pauseMs < nextTryAt) continue
    rounds.push(round)
    nextTryAt = round * pauseMs + delayAfter(rounds.length)
  }
  return rounds
}

onEachDatabase('many addresses try many accounts, slowly', ({ start }) => {
  /** Accounts that somebody has, and such as nobody has; of these the first is signed in to all the while. */
  const begin = async () => {
    const server = await startLimited(start)
    const owner = await server.register()
    const other = await server.register()
    replaceVerify(server, () => async (hash, password) => hash !== null && password === PASSWORD)
    const rest = times(MANY - 2).map((n) => `nobody${n}`)
    return { server, owner, other, names: [owner.username, other.username, ...rest] }
  }

  for (const [holds, pauseMs] of [
    ['a minute apart: each account as often as its failures allow, less and less', MINUTE],
    ['an hour apart: each account until it had the most of failures, and nothing after that', HOUR],
  ] as const) {
    it(`[V6.3.1] [V6.1.1] each pair is tried once, ${holds}; on a device that they know, owners sign in all the while`, async () => {
      const { server, owner, other, names } = await begin()
      const replies = await stuff(server, names, pauseMs, async () => {
        const reply = await signInOnDevice(server, owner)
        assert.equal(reply.status, 200, reply.text)
      })
      const expected = roundsLookedAt(pauseMs)
      const isBlocked = pauseMs === HOUR
      assert.equal(expected.length === MOST_FAILURES_OF_A_NAME, isBlocked)
      const [ofOwner = [], ...others] = replies
      for (const [n, list] of others.entries()) {
        const rounds = [...list.keys()].filter((round) => list[round]?.status === 401)
        assert.deepEqual(rounds, expected, `account ${n + 1}`)
        const refused = list.filter(({ status }) => status !== 401)
        for (const { status, body } of refused) {
          assert.deepEqual([status, body.code], [429, 'too_many_failures'])
        }
      }
      // Their own sign-ins end the row.
      assert.deepEqual(tally(ofOwner), { invalid_credentials: MANY })
      server.clock.advance(365 * DAY)
      const elsewhere = await signInFromElsewhere(server, other)
      assert.equal(elsewhere.body.code, isBlocked ? 'too_many_failures' : undefined)
      if (isBlocked) assert.equal(retryAfter(elsewhere), undefined)
      assert.equal((await signInOnDevice(server, other)).status, 200)
      assert.equal((await signInFromElsewhere(server, other)).status, 200)
    })
  }

  it('[V6.3.1] no address is cut off before it has tried 100 accounts within a day, each is after that, and none for longer than a day', async () => {
    const { server, owner } = await begin()
    const names = times(MOST_ACCOUNTS + 2).map((n) => `anybody${n}`)
    const ips = times(3).map(() => nextAddress())
    const pauseMs = Math.floor(DAY / (names.length + 1))
    const replies: Reply[][] = ips.map(() => [])
    for (const round of names.keys()) {
      for (const [n, ip] of ips.entries()) {
        const name = names[(round + 7 * n) % names.length] ?? ''
        replies[n]?.push(await guess(server, name, { ip }))
        if (round % 10 === 0) assert.equal((await signInOnDevice(server, owner, { ip })).status, 200)
      }
      server.clock.advance(pauseMs)
    }
    for (const list of replies) {
      const looked = times(MOST_ACCOUNTS).map(() => 401)
      assert.deepEqual(
        list.map(({ status }) => status),
        [...looked, 429, 429],
      )
      assert.equal(list.at(-1)?.body.code, 'too_many_requests')
    }
    for (const ip of ips) assert.equal((await signInOnDevice(server, owner, { ip })).status, 200)
    server.clock.advance(DAY)
    for (const ip of ips) assert.equal((await guess(server, 'one.more', { ip })).status, 401)
  })
})
