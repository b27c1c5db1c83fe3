import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { addUser, countUsers, openFor } from './opened.ts'

const MILLISECOND = 1e6

/** Starts a process that holds the write lock for so long, and waits until it does. */
async function lockElsewhere(t: TestContext, file: string, milliseconds: number): Promise<void> {
  const script = fileURLToPath(new URL('./lock-child.ts', import.meta.url))
  const child = spawn(process.execPath, [script, file, String(milliseconds)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill())
  await once(child.stdout, 'data')
}

/** The longest time in milliseconds for which the event loop stood still. */
async function longestBlock(work: () => Promise<unknown>): Promise<number> {
  const histogram = monitorEventLoopDelay({ resolution: 5 })
  histogram.enable()
  await work()
  histogram.disable()
  return histogram.max / MILLISECOND
}

describe('SQLite: another process holds the write lock', () => {
  test('for 1 second: writes wait without blocking the event loop, reads go on, all succeed', async (t) => {
    const { database, settings } = await openFor(t, 'sqlite')
    assert.ok(settings.kind === 'sqlite')
    await lockElsewhere(t, settings.file, 1000)
    const started = performance.now()
    const blocked = await longestBlock(async () => {
      const writes = Promise.all([addUser(database.db, 'a'), addUser(database.db, 'b')])
      assert.equal(await countUsers(database.db), 0)
      assert.ok(performance.now() - started < 500, 'the read did not wait')
      await writes
    })
    assert.ok(performance.now() - started > 500, 'the writes waited')
    assert.ok(blocked < 100, `the event loop stood still for ${blocked} ms`)
    assert.equal(await countUsers(database.db), 2)
  })

  test('for longer than 5 seconds: writes fail as database_unavailable, and succeed again afterwards', async (t) => {
    const { database, settings } = await openFor(t, 'sqlite')
    assert.ok(settings.kind === 'sqlite')
    await lockElsewhere(t, settings.file, 6000)
    const started = performance.now()
    const refused = { code: 'database_unavailable', retryAfterSeconds: 1 }
    await Promise.all([
      assert.rejects(addUser(database.db, 'a'), refused),
      assert.rejects(
        database.db.transaction().execute((trx) => addUser(trx, 'b')),
        refused,
      ),
    ])
    const waited = performance.now() - started
    assert.ok(waited > 4000 && waited < 5900, `waited ${waited} ms`)
    await addUser(database.db, 'c')
    assert.equal(await countUsers(database.db), 1)
  })
})
