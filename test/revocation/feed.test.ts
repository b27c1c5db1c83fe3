import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createContext } from '../../src/context.ts'
import { createCaller } from '../../src/core/caller.ts'
import { DAY, MINUTE, SECOND } from '../../src/core/clock.ts'
import { cleanUpRevocations } from '../../src/features/revocation/clean-up-revocations.ts'
import { openFeed } from '../../src/features/revocation/feed.ts'
import { getEnd } from '../../src/features/revocation/places.ts'
import { publishRevocations } from '../../src/features/revocation/publish.ts'
import { insertRevocations } from '../../src/features/revocation/queries.ts'
import { authenticate } from '../../src/features/sessions/authenticate.ts'
import { endSession, endSessionsForOperator } from '../../src/features/sessions/end-sessions.ts'
import { deleteOwnAccount } from '../../src/features/users/delete-account.ts'
import { disableUser } from '../../src/features/users/set-active.ts'
import { API, createMovableClock, onEachDatabase, PASSWORD, type TestServer } from '../kit.ts'
import { freezeThread } from '../support/freeze-thread.ts'
import { ACCESS_TOKEN_INVALID, assertProblem, NOT_AUTHENTICATED } from '../support/replies.ts'
import { makeServiceKey } from '../support/service-keys.ts'
import { claimsOf } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const NEW_PASSWORD = 'another horse battery staple'

onEachDatabase('the feed of revocations', ({ start, kind }) => {
  const startWithKey = async (overrides = {}) => {
    const server = await start(overrides)
    const { secret } = await makeServiceKey(server, ['revocations:read'])
    const read = async (after?: string, limit?: number) => {
      await server.context.feed.poll()
      const query = new URLSearchParams({
        ...(after !== undefined && { after }),
        ...(limit && { limit: String(limit) }),
      })
      const reply = await server.call('GET', `${API}/revocations?${query}`, { token: secret })
      assert.equal(reply.status, 200, reply.text)
      return reply.body
    }
    const sids = async (after?: string) => (await read(after)).items.map(({ sid }: { sid: string }) => sid)
    return { server, secret, read, sids }
  }
  const sidOf = (token: string) => claimsOf(token).sid as string
  const revoke = ({ context }: Pick<TestServer, 'context'>, ...subjects: string[]) =>
    insertRevocations(context.db, 'session', subjects)
  const uuid = (number: number) => `019a1f6e-7c1a-7b7e-8a54-${String(number).padStart(12, '0')}`

  it('every way to end a session is told: of the sessions that it ended, and of no other', async () => {
    const { server, read } = await startWithKey({ sessionLimit: 3 })
    const { context } = server
    let { next } = await read()
    const ended = async () => {
      const page = await read(next)
      next = page.next
      assert.equal(page.snapshot, false)
      assert.ok(page.items.every(({ type }: { type: string }) => type === 'session'))
      return page.items.map(({ sid }: { sid: string }) => sid).sort()
    }
    const ada = await server.register({ username: 'ada' })
    const credentials = { username: 'ada', password: PASSWORD }
    const bob = await server.register()
    assert.deepEqual(await ended(), [])

    const signedOut = await server.login(credentials)
    await server.call('POST', `${API}/auth/logout`, { json: { refresh_token: signedOut.refresh_token } })
    assert.deepEqual(await ended(), [sidOf(signedOut.access_token)])

    const [one, two] = [await server.login(credentials), await server.login(credentials)]
    const three = await server.login(credentials)
    assert.deepEqual(await ended(), [sidOf(ada.tokens.access_token)], 'the oldest beyond the limit')

    await server.call('DELETE', `${API}/users/me/sessions/${sidOf(one.access_token)}`, {
      token: two.access_token,
    })
    assert.deepEqual(await ended(), [sidOf(one.access_token)])

    await server.call('POST', `${API}/auth/logout?scope=others`, { token: three.access_token })
    assert.deepEqual(await ended(), [sidOf(two.access_token)])

    const stolen = await server.login(credentials)
    let { refresh_token } = stolen
    for (let time = 0; time < 3; time += 1)
      refresh_token = (await server.refresh(refresh_token)).body.refresh_token
    assert.equal((await server.refresh(stolen.refresh_token)).status, 401)
    assert.deepEqual(await ended(), [sidOf(stolen.access_token)])

    const other = await server.login(credentials)
    const json = { password: NEW_PASSWORD, current_password: PASSWORD }
    await server.call('PATCH', `${API}/users/me`, { json, token: three.access_token })
    assert.deepEqual(await ended(), [sidOf(other.access_token)])

    const { sub } = claimsOf(three.access_token)
    await endSessionsForOperator(context, String(sub))
    assert.deepEqual(await ended(), [sidOf(three.access_token)])

    const last = await server.login({ username: 'ada', password: NEW_PASSWORD })
    await disableUser(context, String(sub))
    assert.deepEqual(await ended(), [sidOf(last.access_token)])

    const json2 = { current_password: PASSWORD }
    await server.call('DELETE', `${API}/users/me`, { json: json2, token: bob.tokens.access_token })
    assert.deepEqual(await ended(), [sidOf(bob.tokens.access_token)])
  })

  it('whose account could not be deleted, because the session that asked had ended, is not told of', async () => {
    const { server, read, sids } = await startWithKey()
    const { context } = server
    const { tokens } = await server.register({ username: 'ada' })
    const second = await server.login({ username: 'ada', password: PASSWORD })
    const current = await authenticate(context, second.access_token)
    await endSession(context, sidOf(second.access_token), 'logout')
    const { next } = await read()
    const caller = createCaller('127.0.0.1', undefined, 'request')
    await assert.rejects(deleteOwnAccount(context, { current, currentPassword: PASSWORD, caller }), {
      code: 'access_token_invalid',
    })
    assert.deepEqual(await sids(next), [])
    assert.equal((await server.me(tokens.access_token)).status, 200)
  })

  const skip = kind === 'sqlite' && 'SQLite commits in the order in which it writes'
  it('what commits later has the higher number, whichever began first: who has seen a number has seen all below', {
    skip,
  }, async () => {
    const { server, read, sids } = await startWithKey()
    const { next } = await read()
    const [ready, commit] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const late = server.context.db.transaction().execute(async (trx) => {
      await insertRevocations(trx, 'session', [uuid(1)])
      ready.resolve()
      await commit.promise
    })
    await ready.promise
    await revoke(server, uuid(2))
    const page = await read(next)
    assert.deepEqual(
      page.items.map(({ sid }: { sid: string }) => sid),
      [uuid(2)],
    )
    commit.resolve()
    await late
    assert.deepEqual(await sids(page.next), [uuid(1)])
    assert.deepEqual(await sids(next), [uuid(2), uuid(1)])
  })

  it('several nodes that publish at once give every number once, and each node tells all', async (t) => {
    const { server, read } = await startWithKey()
    const { next } = await read()
    const nodes = await Promise.all(
      Array.from({ length: 3 }, () => createContext(server.settings, server.clock)),
    )
    t.after(() => Promise.all(nodes.map((node) => node.close())))
    const COUNT = 300
    await Promise.all(
      nodes.map(async (context, node) => {
        for (let time = 0; time < COUNT / 3; time += 1) {
          await revoke({ context }, uuid(1000 * node + time))
          if (time % 5 === 0) await context.feed.poll()
        }
      }),
    )
    for (const { feed } of nodes) await feed.poll()
    const rows = await server.context.db.selectFrom('revocations').select(['seq']).orderBy('seq').execute()
    assert.deepEqual(
      rows.map(({ seq }) => seq),
      Array.from({ length: COUNT }, (_, index) => index + 1),
    )
    const page = await read(next)
    assert.equal(page.items.length, COUNT)
    assert.equal(new Set(page.items.map(({ sid }: { sid: string }) => sid)).size, COUNT)
    const ends = nodes.map(({ feed }) => feed.end())
    assert.equal(new Set(ends.map(({ seq, mark }) => `${seq}.${mark}`)).size, 1)
  })

  it('while sessions end all the time, it is known all the same until when all of them have been told', async () => {
    const { context } = await start()
    const { db } = context
    const clock = createMovableClock()
    const feed = await openFeed({ db, clock })
    let ended = 0
    const end = () => {
      ended += 1
      return revoke({ context }, uuid(ended))
    }
    // Whatever is published, more has ended before anybody looks again.
    feed.onChange(() => void end())
    for (const _ of [1, 2, 3]) {
      clock.advance(SECOND)
      await end()
      await feed.poll()
      assert.equal(feed.polledAt(), clock.now())
      await until('the next has ended', async () => (await getEnd(db)).hasUnpublished)
    }
  })

  it('a node that freezes while it publishes holds up the others for five seconds', {
    skip: kind === 'sqlite' && 'the locks of SQLite end with their process',
  }, async () => {
    const { server, sids } = await startWithKey()
    const { db } = server.context
    await revoke(server, uuid(1))
    const clock = {
      now() {
        freezeThread(5.5 * SECOND)
        return server.clock.now()
      },
    }
    await assert.rejects(publishRevocations({ db, clock }), { code: 'database_unavailable' })
    assert.deepEqual(await sids(), [uuid(1)])
  })

  it('what is rolled back is never told', async () => {
    const { server, sids } = await startWithKey()
    await assert.rejects(
      server.context.db.transaction().execute(async (trx) => {
        await insertRevocations(trx, 'session', [uuid(1)])
        throw new Error('rolled back')
      }),
    )
    assert.deepEqual(await sids(), [])
  })

  it('pages: the first is a snapshot, each goes on from the one before, and an old cursor goes on as well', async () => {
    const { server, read } = await startWithKey()
    await revoke(server, ...Array.from({ length: 25 }, (_, index) => uuid(index)))
    const first = await read(undefined, 10)
    assert.deepEqual([first.items.length, first.snapshot, first.has_more], [10, true, true])
    const second = await read(first.next, 10)
    assert.deepEqual([second.items.length, second.snapshot, second.has_more], [10, false, true])
    const third = await read(second.next, 10)
    assert.deepEqual([third.items.length, third.has_more], [5, false])
    const none = await read(third.next)
    assert.deepEqual([none.items, none.next, none.snapshot], [[], third.next, false])
    const all = [...first.items, ...second.items, ...third.items].map(({ sid }) => sid)
    assert.equal(new Set(all).size, 25)
    const [item] = first.items
    assert.deepEqual(Object.keys(item).sort(), ['exp', 'sid', 'type'])
    assert.equal(item.exp, Math.ceil((server.context.clock.now() + 62 * MINUTE) / 1000))
  })

  it('a cursor that the feed does not go on from gets a snapshot: after a restored backup, or nonsense', async () => {
    const { server, read } = await startWithKey()
    const { db } = server.context
    await revoke(server, uuid(1), uuid(2))
    const { next: before } = await read()
    await revoke(server, uuid(3))
    const { next: lost } = await read()
    // As a backup of before the third would have it, and then another third.
    await db.deleteFrom('revocations').where('subject', '=', uuid(3)).execute()
    const [seq = '', mark = ''] = before.split('.')
    await db
      .updateTable('revocation_feed')
      .set({ seq: Number(seq), mark })
      .execute()
    const stale = await read(lost)
    assert.deepEqual([stale.snapshot, stale.items.length, stale.next], [true, 2, before])
    await revoke(server, uuid(4))
    const again = await read(lost)
    assert.deepEqual([again.snapshot, again.items.length], [true, 3])
    assert.equal((await read(before)).snapshot, false)
    for (const nonsense of [
      '',
      '0',
      '3',
      '-1.x',
      '99999999999999999.x',
      `4.${mark}`,
      `${seq}.x`,
      '1.2.3',
      'a.b',
    ]) {
      const page = await read(nonsense)
      assert.deepEqual([page.snapshot, page.items.length], [true, 3], nonsense)
    }
  })

  it('a node goes on after a restore under it, and tells what comes then', async () => {
    const { server, read } = await startWithKey()
    const { context } = server
    await revoke(server, ...Array.from({ length: 5 }, (_, index) => uuid(index)))
    await context.feed.poll()
    await context.db.deleteFrom('revocations').execute()
    await context.db.updateTable('revocation_feed').set({ seq: 1, mark: 'restored' }).execute()
    await context.feed.poll()
    const seen = context.feed.changes()
    await revoke(server, uuid(9))
    await context.feed.poll()
    assert.ok(context.feed.changes() > seen)
    const page = await read('1.restored')
    assert.deepEqual([page.snapshot, page.items[0]?.sid], [false, uuid(9)])
  })

  it('what no token is left for is deleted 62 minutes after it was told; the last cursor goes on all the same', async () => {
    const { server, read } = await startWithKey()
    await revoke(server, uuid(1))
    server.clock.advance(DAY)
    const { next } = await read()
    server.clock.advance(62 * MINUTE)
    await cleanUpRevocations(server.context)
    assert.equal((await read()).items.length, 1)
    server.clock.advance(1)
    await cleanUpRevocations(server.context)
    const empty = await read()
    assert.deepEqual([empty.items, empty.next, empty.snapshot], [[], next, true])
    const still = await read(next)
    assert.deepEqual([still.items, still.snapshot], [[], false])
    const fresh = await openFeed(server.context)
    await revoke(server, uuid(2))
    await fresh.poll()
    assert.deepEqual((await read(next)).items.length, 1)
  })

  it('[RFC6750-3.1a] a service key with the scope may read, and nobody else', async () => {
    const { server } = await startWithKey()
    const path = `${API}/revocations`
    assertProblem(await server.call('GET', path), NOT_AUTHENTICATED)
    const { tokens } = await server.register()
    const person = { token: tokens.access_token }
    const refused = {
      status: 403,
      code: 'insufficient_scope',
      challenge: 'Bearer realm="postern", error="insufficient_scope", scope="revocations:read"',
    }
    assertProblem(await server.call('GET', path, person), refused)
    const { secret, id } = await makeServiceKey(server, ['tokens:introspect'])
    assertProblem(await server.call('GET', path, { token: secret }), refused)
    for (const token of [`${secret}x`, secret.slice(0, -1), 'postern_sk_', `postern_sk_${'A'.repeat(43)}`]) {
      assertProblem(await server.call('GET', path, { token }), ACCESS_TOKEN_INVALID)
    }
    const { db } = server.context
    await db.updateTable('sessions').set({ scope: 'orders:read revocations:read' }).execute()
    assert.equal((await server.call('GET', path, person)).status, 200)
    const row = await db.selectFrom('service_keys').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    assert.ok(!JSON.stringify(row).includes(secret.slice('postern_sk_'.length)))
  })
})
