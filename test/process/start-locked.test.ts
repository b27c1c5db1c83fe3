import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, it } from 'node:test'
import { Client } from 'pg'
import { type CliResult, runCli } from '../support/cli.ts'
import { createTestDatabase, type TestDatabase } from '../support/databases.ts'
import { findFreePort } from '../support/postgres.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import { runToExit, startServerProcess } from '../support/server-process.ts'

/** Above the 5 seconds that a writer waits, and the start of a process on a busy machine. */
const GIVES_UP_WITHIN_MS = 15_000

describe('serve on an SQLite file that another process has locked', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-locked-'))
    await mkdir(join(folder, 'data'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  /** Holds the write lock of the server's file until the function is called. */
  const lock = (): (() => void) => {
    const other = new DatabaseSync(join(folder, 'data', 'postern.db'))
    other.exec('pragma journal_mode = wal; begin immediate')
    return () => other.close()
  }

  it('gives up in one line, exit code 1, while there are tables to make', async () => {
    const release = lock()
    try {
      const env = { PORT: String(await findFreePort()), SECRET_KEY }
      const { code, stdout, stderr, ms } = await runToExit(env, { folder })
      assert.equal(code, 1, stdout)
      assert.match(stderr, /^postern: The database does not answer[^\n]+ write lock was not free [^\n]+\n$/)
      assert.ok(ms < GIVES_UP_WITHIN_MS, `${ms} ms`)
    } finally {
      release()
    }
  })

  it('starts while the lock is held when the tables and the keys are there already', async () => {
    const first = await startServerProcess({ SECRET_KEY }, { folder })
    assert.equal((await first.stop()).code, 0)
    const release = lock()
    try {
      const again = await startServerProcess({ SECRET_KEY }, { folder })
      assert.equal(again.stderr(), '')
      assert.equal((await again.stop()).code, 0)
    } finally {
      release()
    }
  })
})

describe('a PostgreSQL user who may not create tables', () => {
  const role = `postern_test_${randomBytes(8).toString('hex')}`
  const password = randomBytes(16).toString('hex')
  let database: TestDatabase
  let url: string
  before(async () => {
    database = await createTestDatabase('postgres')
    await query(
      `create role ${role} login password '${password}'; revoke create on schema public from public`,
    )
    url = Object.assign(new URL(database.url), { username: role, password }).href
  })
  after(async () => {
    await query(`drop owned by ${role}; drop role ${role}`)
    await database.drop()
  })

  async function query(statements: string): Promise<void> {
    const client = new Client({ connectionString: database.url })
    await client.connect()
    await client.query(statements).finally(() => client.end())
  }

  const assertRefused = ({ code, stderr }: Pick<CliResult, 'code' | 'stderr'>) => {
    assert.equal(code, 1, stderr)
    assert.match(
      stderr,
      /^postern: PostgreSQL database "\w+" at \S+: this user may not create tables there; GRANT CREATE ON SCHEMA [^\n]+\n$/,
    )
    assert.ok(!stderr.includes(password) && !stderr.includes(role), stderr)
  }

  it('is told which grant is missing, in one line, exit code 1', async () => {
    const env = { DATABASE_URL: url, SECRET_KEY }
    assertRefused(await runToExit({ PORT: String(await findFreePort()), ...env }))
    assertRefused(await runCli(['migrate'], { env }))
    assert.deepEqual((await runCli(['migrate', '--check'], { env })).code, 1)
  })

  it('runs a server on tables that another has made, with no more than rights to their rows', async () => {
    const migrated = await runCli(['migrate'], { env: { DATABASE_URL: database.url, SECRET_KEY } })
    assert.equal(migrated.code, 0, migrated.stderr)
    await query(`grant select, insert, update, delete on all tables in schema public to ${role}`)
    const server = await startServerProcess({ DATABASE_URL: url, SECRET_KEY })
    try {
      const json = { username: 'ada', email: 'ada@example.com', password: 'correct horse battery staple' }
      assert.equal((await server.call('POST', '/api/v1/auth/register', { json })).status, 200)
    } finally {
      await server.stop()
    }
  })
})
