import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { MINUTE } from '../../src/core/clock.ts'
import { createDatabaseClock } from '../../src/database/clock.ts'
import { openDatabase } from '../../src/database/connection.ts'
import { createTestDatabase, DATABASES } from '../support/databases.ts'
import { openFor } from './opened.ts'

const TOLERANCE_MS = 500
const isNear = (actual: number, expected: number) => Math.abs(actual - expected) < TOLERANCE_MS

describe('the shared clock', () => {
  test('postgres: a node whose clock is wrong goes by the database, and knows by how much it is off', async (t) => {
    const { database } = await openFor(t, 'postgres', 'empty')
    let wrong = 10 * MINUTE
    const shared = await createDatabaseClock(database, { now: () => Date.now() - wrong })
    assert.ok(isNear(shared.clock.now(), await database.now()))
    assert.ok(isNear(shared.disagreementMs(), 10 * MINUTE))
    assert.ok(Number.isInteger(shared.clock.now()))

    wrong = -3 * MINUTE
    await shared.synchronize()
    assert.ok(isNear(shared.clock.now(), await database.now()))
    assert.ok(isNear(shared.disagreementMs(), 3 * MINUTE))
  })

  test('postgres: while the database is away, the last measurement holds', async (t) => {
    const { settings, drop } = await createTestDatabase('postgres')
    const database = await openDatabase(settings)
    t.after(() => database.close())
    let wrong = 10 * MINUTE
    const shared = await createDatabaseClock(database, { now: () => Date.now() - wrong })
    await drop()
    wrong = 0
    await shared.synchronize()
    assert.ok(isNear(shared.disagreementMs(), 10 * MINUTE))
  })

  test('sqlite: it is the local clock', async (t) => {
    const { database } = await openFor(t, 'sqlite', 'empty')
    const local = { now: () => 42 }
    const shared = await createDatabaseClock(database, local)
    await shared.synchronize()
    assert.equal(shared.clock, local)
    assert.equal(shared.disagreementMs(), 0)
  })
})

for (const kind of DATABASES) {
  test(`${kind}: now is an integer`, async (t) => {
    const { database } = await openFor(t, kind, 'empty')
    assert.ok(Number.isInteger(await database.now()))
  })
}
