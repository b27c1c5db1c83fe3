import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { inspectPostgres } from '../../src/database/inspect-postgres.ts'
import { openDatabaseToRead } from '../../src/database/read-only.ts'
import { diagnose } from '../support/doctor.ts'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'
import { query } from '../support/query.ts'
import { SECRET_KEY } from '../support/secret-key.ts'

const DURABLE = { fsync: 'on', full_page_writes: 'on', wal_level: 'replica', max_connections: '30' }

describe('doctor: PostgreSQL', () => {
  let server: PostgresServer
  before(async () => {
    server = await startPostgres({ settings: DURABLE })
    await query(server.url, 'CREATE ROLE postern LOGIN')
    await query(server.url, 'CREATE DATABASE postern OWNER postern')
  })
  after(() => server?.stop())

  const urlOf = (user: string, options = ''): string => {
    const url = new URL(server.url)
    url.username = user
    url.pathname = 'postern'
    return url.href + options
  }
  const found = async (env: Record<string, string> = {}) => {
    const diagnosis = await diagnose({ DATABASE_URL: urlOf('postern'), SECRET_KEY, ...env })
    return diagnosis.found('database.new')
  }

  it('a server and a role as docs/deployment.md makes them have nothing that is weak', async () => {
    assert.deepEqual(await found(), [])
  })

  it('a superuser, an answer before it is on disk, and more connections than there are', async () => {
    assert.deepEqual(await found({ DATABASE_URL: urlOf('postgres') }), ['postgres.role'])
    await query(server.url, 'ALTER ROLE postern SET synchronous_commit = off')
    assert.deepEqual(await found(), ['postgres.synchronous_commit'])
    await query(server.url, 'ALTER ROLE postern RESET synchronous_commit')

    // Of the 30, PostgreSQL keeps 3 for superusers.
    assert.deepEqual(await found({ DATABASE_POOL_SIZE: '26' }), [])
    assert.deepEqual(await found({ DATABASE_POOL_SIZE: '27' }), ['postgres.connections'])
    await query(server.url, 'ALTER ROLE postern CONNECTION LIMIT 10')
    assert.deepEqual(await found(), ['postgres.connections'])
    await query(server.url, 'ALTER ROLE postern CONNECTION LIMIT -1')
    await query(server.url, 'ALTER DATABASE postern CONNECTION LIMIT 10')
    assert.deepEqual(await found(), ['postgres.connections'])
    await query(server.url, 'ALTER DATABASE postern CONNECTION LIMIT -1')
  })

  it('a role that may not make the tables', async () => {
    await query(server.url, 'CREATE ROLE reader LOGIN')
    const url = urlOf('reader')
    assert.deepEqual(await found({ DATABASE_URL: url }), ['database.create_tables'])
  })

  it('how the URL has the connection encrypted, and to which host', async (t) => {
    const database = await openDatabaseToRead({
      kind: 'postgres',
      url: urlOf('postern'),
      poolSize: 1,
      preparedStatements: true,
    })
    t.after(() => database.close())
    for (const [options, encryption] of [
      ['', 'none'],
      ['?sslmode=disable', 'none'],
      ['?sslmode=no-verify', 'unverified'],
      ['?sslmode=require', 'verified'],
      ['?sslmode=verify-full', 'verified'],
    ] as const) {
      const facts = await inspectPostgres(database.db, urlOf('postern', options))
      assert.deepEqual([facts.encryption, facts.host], [encryption, '127.0.0.1'], options)
    }
  })

  it('a server that would lose everything in a power failure', async (t) => {
    const careless = await startPostgres()
    t.after(() => careless.stop())
    const diagnosis = await diagnose({ DATABASE_URL: careless.url, SECRET_KEY })
    assert.deepEqual(diagnosis.what('postgres.durability'), ['fsync is off', 'full_page_writes is off'])
  })

  it('a replica', async () => {
    const [row] = await query(server.url, 'SHOW data_directory')
    await writeFile(join(String(row?.data_directory), 'standby.signal'), '')
    await server.restart()
    assert.deepEqual(await found(), ['postgres.primary'])
  })
})
