import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { Client } from 'pg'
import { createTestDatabase } from './databases.ts'
import { startPostgres } from './postgres.ts'
import { query } from './query.ts'

describe('test databases', () => {
  test('sqlite: each is a file in a folder of its own, gone after drop', async () => {
    const database = await createTestDatabase('sqlite')
    assert.ok(database.settings.kind === 'sqlite')
    const folder = dirname(database.settings.file)
    assert.ok(existsSync(folder))
    assert.equal(database.url, `sqlite:///${database.settings.file}`)
    await database.drop()
    assert.ok(!existsSync(folder))
  })

  test('postgres: each is empty and its own, and drop succeeds with connections open', async () => {
    const [one, other] = await Promise.all([createTestDatabase('postgres'), createTestDatabase('postgres')])
    await query(one.url, 'CREATE TABLE only_here (id bigint)')
    const tables = 'SELECT tablename FROM pg_tables WHERE schemaname = current_schema()'
    assert.deepEqual(await query(other.url, tables), [])
    assert.deepEqual(await query(one.url, tables), [{ tablename: 'only_here' }])

    const open = new Client({ connectionString: one.url })
    open.on('error', () => {})
    await open.connect()
    await Promise.all([one.drop(), other.drop()])
    await assert.rejects(query(one.url, 'SELECT 1'), { code: '3D000' })
  })
})

describe('startPostgres', () => {
  test('a killed server comes back on the same port with what was committed', async () => {
    const server = await startPostgres()
    try {
      await query(server.url, 'CREATE TABLE kept (id bigint)')
      await server.kill()
      await assert.rejects(query(server.url, 'SELECT 1'), { code: 'ECONNREFUSED' })
      await server.restart()
      assert.deepEqual(await query(server.url, 'SELECT * FROM kept'), [])
    } finally {
      await server.stop()
    }
    await assert.rejects(query(server.url, 'SELECT 1'), { code: 'ECONNREFUSED' })
  })

  test('a server that cannot start says why', async () => {
    const settings = { shared_buffers: 'many' }
    await assert.rejects(startPostgres({ settings }), /did not start:[\s\S]*shared_buffers/)
  })

  test('a server dies and leaves nothing when its owner is killed', async () => {
    const module = new URL('postgres.ts', import.meta.url).href
    const program = `const { startPostgres } = await import('${module}')
      process.stdout.write((await startPostgres()).url)
      setInterval(() => {}, 1000)`
    const owner = spawn(process.execPath, ['--input-type=module', '--eval', program])
    const [url] = (await once(owner.stdout, 'data')).map(String)
    assert.ok(url)
    const [row] = await query(url, "SELECT current_setting('data_directory') AS folder")
    assert.ok(existsSync(String(row?.folder)))
    owner.kill('SIGKILL')
    const deadline = performance.now() + 20_000
    while (existsSync(String(row?.folder)) && performance.now() < deadline) await setTimeout(50)
    assert.ok(!existsSync(String(row?.folder)))
    await assert.rejects(query(url, 'SELECT 1'), { code: 'ECONNREFUSED' })
  })
})
