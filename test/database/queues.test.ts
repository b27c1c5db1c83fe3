import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Problem } from '../../src/core/problems.ts'
import { DATABASES } from '../support/databases.ts'
import { addUser, countUsers, openFor } from './opened.ts'

const LATE = ['server_busy', 'database_unavailable']
const MAX_WAITING = 2000

for (const kind of DATABASES) {
  describe(`Queues are bounded (${kind})`, () => {
    test('when thousands wait already, the next is refused at once, and those that wait are served', async (t) => {
      const { database } = await openFor(t, kind)
      const { db } = database
      const holding = Promise.withResolvers<void>()
      const gate = Promise.withResolvers<void>()
      // Everything that writes on SQLite, every connection on PostgreSQL.
      const holders = Array.from({ length: kind === 'sqlite' ? 1 : 10 }, () =>
        db.transaction().execute(async () => {
          holding.resolve()
          await gate.promise
        }),
      )
      await holding.promise
      const asked = Array.from({ length: MAX_WAITING + 50 }, (_, index) =>
        addUser(db, `user${index}`).then(
          () => 'done',
          (error: unknown) => error,
        ),
      )
      const refused = await Promise.race(asked)
      assert.ok(refused instanceof Problem)
      assert.deepEqual([refused.code, refused.retryAfterSeconds], ['server_busy', 1])
      gate.resolve()
      await Promise.all(holders)
      const outcomes = await Promise.all(asked)
      const done = outcomes.filter((outcome) => outcome === 'done').length
      // On a slow machine some of those that wait have waited for too long.
      const failed = outcomes.filter(
        (outcome) => outcome instanceof Problem && LATE.includes(outcome.code),
      ).length
      assert.ok(done > 0 && failed >= 50 - holders.length, `${done} were served, ${failed} not`)
      assert.equal(done + failed, asked.length)
      assert.equal(await countUsers(db), done)
    })
  })
}
