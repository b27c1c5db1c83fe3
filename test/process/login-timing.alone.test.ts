import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import { hash } from '@node-rs/bcrypt'
import { newId } from '../../src/core/ids.ts'
import { type Database, openDatabase } from '../../src/database/connection.ts'
import { insertUser } from '../../src/features/users/queries.ts'
import { createTestDatabase, DATABASES, type TestDatabase } from '../support/databases.ts'
import { scale } from '../support/scale.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import { type Reply, type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { mannWhitney, median, spread } from '../support/statistics.ts'

const PASSWORD = 'correct horse battery staple'
const WRONG = 'not the password of anybody'
/** The lower takes an eighth of the time, and behaves alike. */
const BCRYPT_COST = scale(9, 12)
const MAX_SPREAD = 0.05
/** For the first and last of several at once, which vary more; bcrypt unhidden takes several times as long. */
const MAX_SPREAD_AT_ONCE = 0.1
/** As many as the limits let through at once for one account, by both of its names. */
const MOST_AT_ONCE = 10
const MAX_BATCHES = 4
/** So unlikely by chance that a run in ten thousand fails. */
const LEAST_PROBABILITY = 1e-4

type Timed = Reply & { ms: number }
/** Milliseconds by username. */
type Times = Map<string, number[]>

for (const kind of DATABASES) {
  describe(`login timing (${kind})`, () => {
    let database: TestDatabase
    let opened: Database
    let server: ServerProcess

    before(async () => {
      database = await createTestDatabase(kind)
      server = await startServerProcess({ DATABASE_URL: database.url, SECRET_KEY, HASH_CONCURRENCY: '2' })
      opened = await openDatabase(database.settings)
      const json = { username: 'argon', email: 'argon@example.com', password: PASSWORD }
      assert.equal((await server.call('POST', '/api/v1/auth/register', { json })).status, 200)
    })
    after(async () => {
      await server?.stop()
      await opened?.close()
      await database?.drop()
    })

    async function fail(username: string): Promise<Timed> {
      const startedAt = performance.now()
      const reply = await server.call('POST', '/api/v1/auth/login', { form: { username, password: WRONG } })
      return { ...reply, ms: performance.now() - startedAt }
    }

    /** One after the other, in an order that changes from round to round. */
    async function failInTurns(times: Times, rounds: number): Promise<void> {
      for (let round = 0; round < rounds; round++) {
        for (const [username, own] of shuffle([...times])) own.push((await fail(username)).ms)
      }
    }

    it('[V6.3.8] an unknown user and a wrong password take the same time', async (t) => {
      await failInTurns(createTimes(['argon', 'nobody']), 5)
      const times = createTimes(['argon', 'nobody'])
      await assertAlike(t, [times], () => failInTurns(times, scale(80, 1000)))
      const { argon = [], nobody = [] } = Object.fromEntries(times)
      const probability = mannWhitney(argon, nobody)
      t.diagnostic(`p = ${probability.toFixed(4)}`)
      assert.ok(probability > LEAST_PROBABILITY, `p = ${probability}`)
    })

    it('[V6.3.8] an unknown user and a wrong password get the same status, body and headers', async () => {
      const [argon, nobody] = [await fail('argon'), await fail('nobody')]
      assert.equal(argon.status, 401)
      assert.deepEqual(withoutRequestId(argon), withoutRequestId(nobody))
    })

    describe('while imported bcrypt hashes remain', () => {
      const everybody = ['argon', 'nobody', 'imported']
      before(() => insertImportedUser(opened))

      it('an unknown user and wrong passwords of new and imported users take the same time', async (t) => {
        await failInTurns(createTimes(everybody), 3)
        const times = createTimes(everybody)
        await assertAlike(t, [times], () => failInTurns(times, scale(15, 100)))
      })

      // What queues is the same on each database.
      if (kind === 'sqlite') {
        it('10 at once take the same time for each of them, the first answered and the last', async (t) => {
          const [firsts, lasts] = [createTimes(everybody), createTimes(everybody)]
          await assertAlike(
            t,
            [firsts, lasts],
            async () => {
              for (let round = 0; round < scale(4, 20); round++) {
                for (const username of shuffle([...everybody])) {
                  const replies = await Promise.all(
                    Array.from({ length: MOST_AT_ONCE }, () => fail(username)),
                  )
                  assert.deepEqual([...new Set(replies.map(({ status }) => status))], [401])
                  firsts.get(username)?.push(Math.min(...replies.map(({ ms }) => ms)))
                  lasts.get(username)?.push(Math.max(...replies.map(({ ms }) => ms)))
                }
              }
            },
            MAX_SPREAD_AT_ONCE,
          )
        })
      }

      it('the three get the same status, body and headers', async () => {
        const [first, ...others] = await Promise.all(everybody.map(fail))
        assert.ok(first)
        assert.equal(first.status, 401)
        for (const other of others) assert.deepEqual(withoutRequestId(other), withoutRequestId(first))
      })

      it('the right password is answered without waiting', async () => {
        const startedAt = performance.now()
        const form = { username: 'argon', password: PASSWORD }
        assert.equal((await server.call('POST', '/api/v1/auth/login', { form })).status, 200)
        const right = performance.now() - startedAt
        const wrong = (await fail('argon')).ms
        assert.ok(right < wrong, `${right} ms, and ${wrong} ms for a wrong one`)
      })
    })
  })
}

const createTimes = (usernames: string[]): Times =>
  new Map(usernames.map((username): [string, number[]] => [username, []]))

/** Whether the medians agree; where other work on the machine blurred them, after more measurements. */
async function assertAlike(
  t: TestContext,
  all: Times[],
  measure: () => Promise<void>,
  maxSpread = MAX_SPREAD,
): Promise<void> {
  const spreads = () => all.map((times) => spread([...times.values()].map(median)))
  for (let batch = 0; batch < MAX_BATCHES; batch++) {
    await measure()
    if (Math.max(...spreads()) < maxSpread) break
  }
  for (const times of all) t.diagnostic(describeTimes(times))
  assert.ok(Math.max(...spreads()) < maxSpread, all.map(describeTimes).join('; '))
}

async function insertImportedUser({ db }: Database): Promise<void> {
  const now = Date.now()
  await insertUser(db, {
    id: newId(),
    username: 'imported',
    username_key: 'imported',
    email: 'imported@example.com',
    email_key: 'imported@example.com',
    email_verified_at: null,
    password_hash: await hash(PASSWORD, BCRYPT_COST),
    bcrypt_cost: BCRYPT_COST,
    is_active: true,
    is_superuser: false,
    created_at: now,
    updated_at: now,
  })
}

function shuffle<T>(items: T[]): T[] {
  return items
    .map((item) => ({ item, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item)
}

const describeTimes = (times: Times): string =>
  [...times].map(([username, own]) => `${username} ${median(own).toFixed(2)} ms of ${own.length}`).join(', ')

function withoutRequestId({ status, headers, body }: Reply) {
  const kept = [...headers].filter(([name]) => name !== 'x-request-id' && name !== 'date')
  return { status, headers: kept, body: { ...body, request_id: undefined } }
}
