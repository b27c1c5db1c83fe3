import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { CompiledQuery, KyselyPlugin } from 'kysely'
import { newId } from '../../src/core/ids.ts'
import type { DirectAdapter } from '../../src/database/compiled.ts'
import { prepareLookup } from '../../src/database/lookups.ts'
import type { Db, User } from '../../src/database/tables.ts'
import { DATABASES } from '../support/databases.ts'
import { openFor, userRow } from './opened.ts'

const findUser = prepareLookup(
  'users.id',
  (db, isAsked) => db.selectFrom('users').selectAll().where(isAsked),
  (row: User) => row.id,
)

/** Takes down how many keys each statement asks for. */
function watch(db: Db, run?: DirectAdapter['runDirectly']): number[] {
  const adapter = db.getExecutor().adapter as DirectAdapter
  const counts: number[] = []
  const runDirectly = run ?? adapter.runDirectly.bind(adapter)
  adapter.runDirectly = <Row>(query: CompiledQuery<Row>) => {
    const [list] = query.parameters
    counts.push((typeof list === 'string' ? JSON.parse(list) : list).length)
    return runDirectly(query)
  }
  return counts
}

async function addUsers(db: Db, count: number): Promise<string[]> {
  const rows = Array.from({ length: count }, (_, index) => userRow(`user${index}`))
  await db.insertInto('users').values(rows).execute()
  return rows.map(({ id }) => id)
}

for (const kind of DATABASES) {
  describe(`Lookups that share a statement (${kind})`, () => {
    test('each caller gets the row of its own key, and nobody the row of a key that is not there', async (t) => {
      const { database } = await openFor(t, kind)
      const ids = await addUsers(database.db, 40)
      const counts = watch(database.db)
      const keys = ids.flatMap((id) => [id, newId()])
      const found = await Promise.all(keys.map((key) => findUser(database.db, key)))
      assert.deepEqual(
        found.map((row) => row?.id),
        ids.flatMap((id) => [id, undefined]),
      )
      assert.deepEqual(counts, [80])
    })

    test('a key that many ask for is looked up once', async (t) => {
      const { database } = await openFor(t, kind)
      const [id = ''] = await addUsers(database.db, 1)
      const counts = watch(database.db)
      const found = await Promise.all(Array.from({ length: 20 }, () => findUser(database.db, id)))
      assert.ok(found.every((row) => row?.id === id))
      assert.deepEqual(counts, [1])
    })

    test('more than a statement takes are spread over several', async (t) => {
      const { database } = await openFor(t, kind)
      const counts = watch(database.db)
      await Promise.all(Array.from({ length: 600 }, () => findUser(database.db, newId())))
      assert.deepEqual(counts, [256, 256, 88])
    })

    test('while two statements are under way, what is asked for gathers, and goes out when one returns', async (t) => {
      const { database } = await openFor(t, kind)
      const ids = await addUsers(database.db, 6)
      const adapter = database.db.getExecutor().adapter as DirectAdapter
      const runDirectly = adapter.runDirectly.bind(adapter)
      const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      const started: unknown[] = []
      const counts = watch(database.db, async (query) => {
        await gates[started.push(query) - 1]?.promise
        return runDirectly(query)
      })
      const asked: Promise<User | undefined>[] = []
      for (const id of ids) {
        asked.push(findUser(database.db, id))
        await nextTurn()
        await nextTurn()
      }
      assert.deepEqual(counts, [1, 1])
      for (const gate of gates) gate.resolve()
      const found = await Promise.all(asked)
      assert.deepEqual(
        found.map((row) => row?.id),
        ids,
      )
      assert.deepEqual(counts, [1, 1, 4])
    })

    test('what was committed before a lookup was asked for is seen by it, whatever is under way', async (t) => {
      const { database } = await openFor(t, kind)
      const [id = ''] = await addUsers(database.db, 1)
      const { db } = database
      const adapter = db.getExecutor().adapter as DirectAdapter
      const runDirectly = adapter.runDirectly.bind(adapter)
      const hasRead = Promise.withResolvers<void>()
      const gate = Promise.withResolvers<void>()
      let isFirst = true
      watch(db, async (query) => {
        const result = await runDirectly(query)
        if (!isFirst) return result
        isFirst = false
        hasRead.resolve()
        await gate.promise
        return result
      })
      const early = findUser(db, id)
      await hasRead.promise
      await db.updateTable('users').set({ username: 'changed' }).where('id', '=', id).execute()
      const late = findUser(db, id)
      assert.equal((await late)?.username, 'changed')
      gate.resolve()
      assert.equal((await early)?.username, 'user0')
    })

    test('statements that hang hold up the others for a second, not for as long as they hang', async (t) => {
      const { database } = await openFor(t, kind)
      const [id = ''] = await addUsers(database.db, 1)
      const adapter = database.db.getExecutor().adapter as DirectAdapter
      const runDirectly = adapter.runDirectly.bind(adapter)
      const gate = Promise.withResolvers<void>()
      let started = 0
      watch(database.db, async (query) => {
        started += 1
        if (started <= 2) await gate.promise
        return runDirectly(query)
      })
      const hanging: Promise<unknown>[] = []
      for (let count = 0; count < 2; count += 1) {
        hanging.push(findUser(database.db, id))
        await nextTurn()
        await nextTurn()
      }
      const startedAt = performance.now()
      assert.equal((await findUser(database.db, id))?.id, id)
      const ms = performance.now() - startedAt
      assert.ok(ms > 500 && ms < 5000, `${ms} ms`)
      gate.resolve()
      await Promise.all(hanging)
    })

    test('when thousands wait already, the next is refused at once', async (t) => {
      const { database } = await openFor(t, kind)
      const asked = Array.from({ length: 2500 }, () =>
        findUser(database.db, newId()).then(
          () => 'answered',
          ({ code }) => code,
        ),
      )
      assert.equal(await Promise.race(asked), 'server_busy')
      const outcomes = Map.groupBy(await Promise.all(asked), (outcome) => outcome)
      assert.deepEqual([outcomes.get('answered')?.length, outcomes.get('server_busy')?.length], [2000, 500])
    })

    test('within a transaction its own changes are seen, at once', async (t) => {
      const { database } = await openFor(t, kind)
      const [id = ''] = await addUsers(database.db, 1)
      await database.db.transaction().execute(async (trx) => {
        await trx.updateTable('users').set({ username: 'changed' }).where('id', '=', id).execute()
        assert.equal((await findUser(trx, id))?.username, 'changed')
      })
    })

    test('a statement that fails fails everyone who shares it, and the next lookup works', async (t) => {
      const { database } = await openFor(t, kind)
      const [id = ''] = await addUsers(database.db, 1)
      const adapter = database.db.getExecutor().adapter as DirectAdapter
      const { runDirectly } = adapter
      watch(database.db, async () => {
        throw new Error('the statement failed')
      })
      const outcomes = await Promise.allSettled([findUser(database.db, id), findUser(database.db, newId())])
      assert.deepEqual(
        outcomes.map(({ status }) => status),
        ['rejected', 'rejected'],
      )
      adapter.runDirectly = runDirectly
      assert.equal((await findUser(database.db, id))?.id, id)
    })

    test('a plugin sees every lookup', async (t) => {
      const { database } = await openFor(t, kind)
      const [id = ''] = await addUsers(database.db, 1)
      let seen = 0
      const plugin: KyselyPlugin = {
        transformQuery({ node }) {
          seen += 1
          return node
        },
        transformResult: async ({ result }) => result,
      }
      assert.equal((await findUser(database.db.withPlugin(plugin), id))?.id, id)
      assert.equal(seen, 1)
    })
  })
}
