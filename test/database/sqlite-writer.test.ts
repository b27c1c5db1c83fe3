import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { CompiledQuery } from 'kysely'
import type { SqliteConnection } from '../../src/database/sqlite-connection.ts'
import { openSqliteFile } from '../../src/database/sqlite-file.ts'
import { createSqliteWriter, type SqliteWriter } from '../../src/database/sqlite-writer.ts'
import { createTestDatabase } from '../support/databases.ts'

const unavailable = { code: 'database_unavailable' }
const add = (value: number) => CompiledQuery.raw('insert into numbers values (?)', [value])

type Faulty = { writer: SqliteWriter; failing: Set<string>; read(): unknown[] }

/** A writer on a disk that fails each command in `failing`. */
async function openFaulty(t: TestContext): Promise<Faulty> {
  const { settings, drop } = await createTestDatabase('sqlite')
  assert.ok(settings.kind === 'sqlite')
  const { writer: connection, reader } = await openSqliteFile(settings.file)
  t.after(async () => {
    reader.close()
    connection.close()
    await drop()
  })
  connection.exec('create table numbers (value integer unique)')
  const failing = new Set<string>()
  const read = () => reader.run(CompiledQuery.raw('select value from numbers')).rows.map(({ value }) => value)
  return { writer: createSqliteWriter(failOn(connection, failing)), failing, read }
}

function failOn(connection: SqliteConnection, failing: Set<string>): SqliteConnection {
  return {
    get isTransaction() {
      return connection.isTransaction
    },
    exec(sql) {
      if (failing.has(sql)) throw Object.assign(new Error('disk I/O error'), { errcode: 10 })
      connection.exec(sql)
    },
    run: (query) => connection.run(query),
    close: () => connection.close(),
  }
}

async function addInTransaction(writer: SqliteWriter, value: number): Promise<void> {
  const transaction = await writer.begin()
  transaction.run(add(value))
  await transaction.end('commit')
}

test('SQLite: a write begun the moment another is answered is not forgotten', async (t) => {
  const { writer, read } = await openFaulty(t)
  const started = performance.now()
  for (let steps = 0; steps < 10; steps++) {
    let answered: Promise<unknown> = writer.run(add(steps))
    for (let step = 0; step < steps; step++) answered = answered.then(() => {})
    await answered.then(() => writer.run(add(100 + steps)))
  }
  assert.ok(performance.now() - started < 4000)
  assert.equal(read().length, 20)
})

describe('SQLite: a failing disk', () => {
  const breakdowns = [
    { name: 'at begin', commands: ['begin immediate'] },
    { name: 'at commit', commands: ['commit'] },
    { name: 'at commit and at the rollback after it', commands: ['commit', 'rollback'] },
    { name: 'at a savepoint', commands: ['savepoint turn'] },
    { name: 'at the release of a savepoint', commands: ['release turn'] },
    {
      name: 'at the release of a savepoint and at the rollback after it',
      commands: ['release turn', 'rollback'],
    },
  ]
  for (const { name, commands } of breakdowns) {
    test(`${name}: all members fail, nothing is written, and the next write succeeds`, async (t) => {
      const { writer, failing, read } = await openFaulty(t)
      for (const command of commands) failing.add(command)
      await Promise.all([
        assert.rejects(writer.run(add(1)), unavailable),
        assert.rejects(addInTransaction(writer, 2), unavailable),
      ])
      failing.clear()
      assert.deepEqual(read(), [])
      await writer.run(add(4))
      assert.deepEqual(read(), [4])
    })
  }

  test('what was lost stays lost: later statements of the same transaction are refused', async (t) => {
    const { writer, read } = await openFaulty(t)
    const transaction = await writer.begin()
    transaction.run(add(1))
    transaction.run(CompiledQuery.raw('rollback'))
    assert.throws(() => transaction.run(add(2)), unavailable)
    await assert.rejects(transaction.end('commit'), unavailable)
    await transaction.end('rollback')
    assert.throws(() => transaction.run(add(3)), /has ended/)
    assert.deepEqual(read(), [])
  })
})
