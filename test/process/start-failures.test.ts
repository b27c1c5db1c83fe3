import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { sql } from 'kysely'
import { openDatabase } from '../../src/database/connection.ts'
import type { Env } from '../support/child-process.ts'
import { createTestDatabase } from '../support/databases.ts'
import { findFreePort } from '../support/postgres.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import { runToExit, startServerProcess } from '../support/server-process.ts'

describe('a server that cannot start says why in one line, with exit code 1 and no stack', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-failures-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  async function assertRefuses(env: Env, expected: RegExp, lines = 1): Promise<string> {
    const port = String(await findFreePort())
    const { code, stderr, stdout } = await runToExit({ PORT: port, ...env }, { folder })
    assert.equal(code, 1, `${stderr}${stdout}`)
    assert.match(stderr, expected)
    assert.equal(stderr.trimEnd().split('\n').length, lines, stderr)
    assert.doesNotMatch(stderr, /\n\s+at |node:internal/)
    return stderr
  }

  const sqlite = (name: string): Env => ({ DATABASE_URL: `sqlite:///${join(folder, name)}`, SECRET_KEY })

  it('a taken port', async () => {
    const first = await startServerProcess()
    try {
      const env = { ...sqlite('taken.db'), PORT: String(first.port) }
      await assertRefuses(
        env,
        new RegExp(`^postern: cannot listen on 127.0.0.1:${first.port}: the port is taken`),
      )
      assert.equal((await first.call('GET', '/health')).status, 200)
    } finally {
      await first.stop()
    }
  })

  it('an address that this machine does not have', async () => {
    await assertRefuses({ ...sqlite('host.db'), HOST: '192.0.2.1' }, /no such address; set HOST/)
  })

  it('a folder where the database should be', async () => {
    await mkdir(join(folder, 'folder.db'))
    await assertRefuses(sqlite('folder.db'), /^postern: The SQLite database .*folder\.db cannot be opened: /)
  })

  it('a database file that is something else', async () => {
    await writeFile(join(folder, 'text.db'), 'This is a shopping list, and not a database.\n'.repeat(50))
    await assertRefuses(sqlite('text.db'), /text\.db cannot be opened: it is not an SQLite database/)
    await writeFile(join(folder, 'zeros.db'), Buffer.alloc(16_384))
    await assertRefuses(sqlite('zeros.db'), /zeros\.db cannot be opened: it is not an SQLite database/)
  })

  it('a database where no file can be', async () => {
    await writeFile(join(folder, 'file'), '')
    await assertRefuses(sqlite('file/postern.db'), /file\/postern\.db cannot be opened: /)
  })

  // Root may open any file.
  if (process.getuid?.() !== 0) {
    it('a database file that this user may not open', async () => {
      await writeFile(join(folder, 'closed.db'), '')
      await chmod(join(folder, 'closed.db'), 0o000)
      await assertRefuses(sqlite('closed.db'), /closed\.db cannot be opened: /)
    })
  }

  it('PostgreSQL that does not answer, without its password in the message', async () => {
    const port = await findFreePort()
    const url = `postgres://somebody:canary-password@127.0.0.1:${port}/accounts`
    const stderr = await assertRefuses(
      { DATABASE_URL: url, SECRET_KEY },
      /^postern: PostgreSQL database "accounts" at /,
    )
    assert.match(stderr, /ECONNREFUSED/)
    assert.doesNotMatch(stderr, /canary|somebody/)
  })

  it('something on the port of PostgreSQL that never says a word', async () => {
    const mute = createServer(() => {}).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    const address = mute.address()
    assert.ok(address !== null && typeof address === 'object')
    const url = `postgres://somebody:canary-password@127.0.0.1:${address.port}/accounts`
    await assertRefuses({ DATABASE_URL: url, SECRET_KEY }, /"accounts" at .* cannot be used: /)
    mute.close()
  })

  it('a PostgreSQL database that does not exist', async () => {
    const url = new URL(process.env.TEST_DATABASE_URL ?? '')
    url.pathname = 'no_such_database'
    await assertRefuses({ DATABASE_URL: url.href, SECRET_KEY }, /database "no_such_database" does not exist/)
  })

  it('invalid settings: one line for each, all at once', async () => {
    const env = { PORT: '70000', ALGORITHM: 'none', SECRET_KEY: 'changeme' }
    const stderr = await assertRefuses(env, /^postern: Invalid settings:\n/, 4)
    for (const name of ['PORT', 'ALGORITHM', 'SECRET_KEY']) assert.match(stderr, new RegExp(`\n  ${name}: `))
  })

  it('a database from a newer version, which stays as it was', async () => {
    const database = await createTestDatabase('postgres')
    try {
      const opened = await openDatabase(database.settings)
      await sql`create table kysely_migration (name text primary key, timestamp text not null)`.execute(
        opened.db,
      )
      await sql`insert into kysely_migration values ('999-future', 'now')`.execute(opened.db)
      await assertRefuses(
        { DATABASE_URL: database.url, SECRET_KEY },
        /newer version of Postern \(999-future\)/,
      )
      const tables = await opened.db.introspection.getTables({ withInternalKyselyTables: true })
      assert.deepEqual(
        tables.map(({ name }) => name),
        ['kysely_migration'],
      )
      await opened.close()
    } finally {
      await database.drop()
    }
  })

  it('another SECRET_KEY than the one that sealed the signing keys', async () => {
    const first = await startServerProcess({ ...sqlite('sealed.db') })
    await first.stop()
    const env = { ...sqlite('sealed.db'), SECRET_KEY: 'another-Kq3vX8-0bT5nZ2rL7wY4mD9sF6hJ1cP_aG' }
    await assertRefuses(env, /was sealed with another SECRET_KEY/)
  })

  it('a Node that is too old', async () => {
    const program = `Object.defineProperty(process.versions, 'node', { value: '20.19.0' })`
    const main = resolve(import.meta.dirname, '../../src/main.ts')
    const preload = join(folder, 'old.mjs')
    await writeFile(preload, program)
    const child = spawn(process.execPath, ['--import', preload, main], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    const [code] = await once(child, 'close')
    assert.equal(code, 1)
    assert.match(stderr, /^Postern needs Node\.js .*; this is 20\.19\.0\.\n$/)
  })
})
