import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Kysely } from 'kysely'
import { DAY, HOUR, MINUTE, SECOND, systemClock } from '../../src/core/clock.ts'
import { newId } from '../../src/core/ids.ts'
import { migrations } from '../../src/database/migrations/index.ts'
import { onEachDatabase, type TestServer } from '../kit.ts'
import { cliEnv } from '../support/cli.ts'
import { createTestDatabase } from '../support/databases.ts'
import { diagnose } from '../support/doctor.ts'

/** What PostgreSQL's server, which may be any, has besides. */
const OF_THE_SERVER = ['postgres.role', 'postgres.durability', 'postgres.synchronous_commit']
const OTHER_KEY = 'Zx8cV5bN2mA9sD6fG3hJ0kL7qW4eR1tY-uIoP_aSdF'

onEachDatabase('doctor: what is stored', ({ start, kind }) => {
  const look = (server: TestServer, env: Record<string, string> = {}, clock = systemClock) =>
    diagnose({ ...cliEnv(server), ...env }, { clock })

  const makeSuperuser = async (server: TestServer) => {
    const { username } = await server.register()
    const { db } = server.context
    await db.updateTable('users').set({ is_superuser: true }).where('username', '=', username).execute()
    return username
  }

  it('a server as it comes, with its first administrator, has nothing that is weak', async () => {
    const server = await start()
    await makeSuperuser(server)
    const diagnosis = await look(server)
    assert.deepEqual(diagnosis.found(...OF_THE_SERVER), [])
    for (const check of ['database.usable', 'keys.sealed', 'accounts.superuser', 'clock.agreement']) {
      assert.equal(diagnosis.level(check), 'ok', check)
    }
    const other = kind === 'sqlite' ? 'postgres.primary' : 'sqlite.mode'
    assert.equal(diagnosis.level(other), undefined)
  })

  it('a database without tables is new, and is so afterwards', async (t) => {
    const database = await createTestDatabase(kind)
    t.after(() => database.drop())
    const env = { DATABASE_URL: database.url, SECRET_KEY: OTHER_KEY }
    for (let round = 0; round < 2; round++) {
      assert.deepEqual((await diagnose(env)).found(...OF_THE_SERVER), ['database.new'])
    }
  })

  it("tables that are not up to date, are newer, or are somebody else's", async () => {
    const server = await start()
    const { db } = server.context
    const bookkeeping = db as unknown as Kysely<{
      kysely_migration: { name: string; timestamp: string }
    }>
    await makeSuperuser(server)
    const last = Object.keys(migrations).at(-1) ?? ''
    await bookkeeping.deleteFrom('kysely_migration').where('name', '=', last).execute()
    const pending = await look(server)
    assert.deepEqual(pending.found(...OF_THE_SERVER), ['database.migrations', 'doctor.not_looked_at'])
    assert.deepEqual(pending.what('database.migrations'), [`To be applied: ${last}`])

    const row = { name: '999-from-the-future', timestamp: '' }
    await bookkeeping.insertInto('kysely_migration').values(row).execute()
    const newer = await look(server)
    assert.deepEqual(newer.found(...OF_THE_SERVER), ['database.newer', 'doctor.not_looked_at'])
    assert.match(newer.what('database.newer')[0] ?? '', /999-from-the-future/)

    await bookkeeping.deleteFrom('kysely_migration').execute()
    const foreign = await look(server)
    assert.deepEqual(foreign.found(...OF_THE_SERVER), ['database.foreign'])
  })

  it('signing keys: sealed with another secret, with the previous one, damaged, too old, or none of ALGORITHM', async () => {
    const server = await start()
    const { db } = server.context
    await makeSuperuser(server)
    const found = async (env: Record<string, string>) => (await look(server, env)).found(...OF_THE_SERVER)
    assert.deepEqual(await found({ SECRET_KEY: OTHER_KEY }), ['keys.sealed', 'audit.key'])
    const swapped = { SECRET_KEY: OTHER_KEY, SECRET_KEY_PREVIOUS: server.settings.secretKey }
    assert.deepEqual(await found(swapped), ['secret.previous', 'keys.previous'])
    assert.deepEqual(await found({ ALGORITHM: 'EdDSA' }), ['keys.algorithm'])

    const before = server.context.clock.now()
    await db
      .updateTable('signing_keys')
      .set({ signs_from: before - 731 * DAY })
      .execute()
    assert.deepEqual(await found({}), ['keys.age'])
    await db.updateTable('signing_keys').set({ signs_from: before }).execute()

    const [{ kid = '' } = {}] = await db.selectFrom('signing_keys').select('kid').execute()
    const retired = { kid: 'retired', signs_from: 1, signs_until: 2, sealed_private_jwk: 'v1.AAAA' }
    const key = await db
      .selectFrom('signing_keys')
      .selectAll()
      .where('kid', '=', kid)
      .executeTakeFirstOrThrow()
    await db
      .insertInto('signing_keys')
      .values({ ...key, ...retired })
      .execute()
    assert.deepEqual(await found({}), [], 'nobody opens it')
    await db.deleteFrom('signing_keys').where('kid', '=', retired.kid).execute()

    await server.restart({ algorithm: 'EdDSA' })
    const [first] = await server.context.db
      .selectFrom('signing_keys')
      .selectAll()
      .orderBy('created_at')
      .execute()
    const halves = { public_jwk: first?.public_jwk ?? '' }
    await server.context.db.updateTable('signing_keys').set(halves).where('algorithm', '=', 'EdDSA').execute()
    assert.deepEqual(await found({}), ['keys.damaged'])
    await server.context.db.updateTable('signing_keys').set({ sealed_private_jwk: 'v1.AAAA' }).execute()
    assert.deepEqual(await found({}), ['keys.sealed', 'keys.sealed'])
  })

  it('an audit log whose end was forged, or is gone', async () => {
    const server = await start()
    const { db } = server.context
    await makeSuperuser(server)
    await db.updateTable('audit_chain').set({ seq: 0 }).execute()
    await db.updateTable('audit_chain').set({ hash: 'forged' }).execute()
    assert.deepEqual((await look(server)).found(...OF_THE_SERVER), ['audit.head'])
    await db.updateTable('audit_events').set({ seq: 1 }).where('type', '=', 'user.created').execute()
    await db.deleteFrom('audit_chain').execute()
    assert.deepEqual((await look(server)).found(...OF_THE_SERVER), ['audit.head'])
  })

  it('accounts: no superuser who can sign in, or very many', async () => {
    const server = await start()
    const username = await makeSuperuser(server)
    const { db } = server.context
    await db.updateTable('users').set({ is_active: false }).where('username', '=', username).execute()
    assert.deepEqual((await look(server)).found(...OF_THE_SERVER), ['accounts.superuser'])
    const user = await db.selectFrom('users').selectAll().executeTakeFirstOrThrow()
    const copies = Array.from({ length: 11 }, (_, index) => ({
      ...user,
      id: newId(),
      username_key: `copy${index}`,
      email_key: `copy${index}@example.com`,
      is_active: true,
    }))
    await db.insertInto('users').values(copies).execute()
    const many = await look(server)
    assert.deepEqual(many.found(...OF_THE_SERVER), ['accounts.superusers'])
    assert.deepEqual(many.what('accounts.superusers'), ['There are 11 superusers who can sign in'])
  })

  it('requests through a proxy that is not trusted are told of for a week', async () => {
    const server = await start()
    await makeSuperuser(server)
    await server.call('GET', '/health', { ip: '192.0.2.7', headers: { 'x-forwarded-for': '198.51.100.1' } })
    const recorded = async () =>
      (
        await server.context.db
          .selectFrom('audit_events')
          .select('id')
          .where('type', '=', 'server.proxy_untrusted')
          .execute()
      ).length
    while ((await recorded()) === 0) await new Promise((resolve) => setImmediate(resolve))
    const diagnosis = await look(server)
    assert.deepEqual(diagnosis.found(...OF_THE_SERVER), ['forwarding.untrusted'])
    assert.match(diagnosis.what('forwarding.untrusted')[0] ?? '', /came from 192\.0\.2\.7, recorded 20/)
    assert.deepEqual((await look(server, { TRUSTED_PROXIES: '192.0.2.7' })).found(...OF_THE_SERVER), [])
    server.clock.advance(7 * DAY + MINUTE)
    const later = await look(server, {}, server.context.clock)
    assert.equal(later.level('forwarding.untrusted'), 'ok')
  })

  it('mails that wait for long, and those that were given up within a week', async () => {
    const server = await start()
    await makeSuperuser(server)
    const { db, clock } = server.context
    const now = clock.now()
    const row = { kind: 'sign_in', locale: 'en', recipient: 'ada@example.com', last_error: 'EMESSAGE 451' }
    const put = (created_at: number, gave_up_at: number | null) =>
      db
        .insertInto('outbox')
        .values({ ...row, id: newId(), created_at, next_attempt_at: now, gave_up_at })
        .execute()
    await put(now - 14 * MINUTE, null)
    await put(now - 9 * DAY, now - 8 * DAY)
    assert.deepEqual((await look(server)).found(...OF_THE_SERVER), [])
    await put(now - 20 * MINUTE, null)
    await put(now - 2 * DAY, now - DAY)
    const diagnosis = await look(server)
    assert.deepEqual(diagnosis.found(...OF_THE_SERVER), ['outbox.waiting', 'outbox.given_up'])
    assert.deepEqual(diagnosis.what('outbox.waiting'), ['Mails that wait: 2, the oldest for 20 minutes'])
    assert.deepEqual(diagnosis.what('outbox.given_up'), ['Mails given up within a week: 1'])
    assert.ok(!JSON.stringify(diagnosis.findings).includes('ada@'))
  })

  it("a clock that is behind what is stored, or apart from the database's", async () => {
    const server = await start()
    await makeSuperuser(server)
    const off = (ms: number) => look(server, {}, { now: () => Date.now() + ms })
    const behind = kind === 'sqlite' ? 'clock.set_back' : 'clock.agreement'
    assert.deepEqual((await off(-HOUR)).found(...OF_THE_SERVER), [behind])
    const drifting = kind === 'sqlite' ? [] : ['clock.drift']
    assert.deepEqual((await off(3 * SECOND)).found(...OF_THE_SERVER), drifting)
  })

  it('where the database is gone, the rest is looked at, and nothing of its password is told', async () => {
    const env = { DATABASE_URL: 'postgres://ada:sesame-Canary@127.0.0.1:1/none', SECRET_KEY: OTHER_KEY }
    const diagnosis = await diagnose({ ...env, RATE_LIMITS: 'false' })
    assert.deepEqual(diagnosis.found(), ['settings.rate_limits', 'database.usable', 'doctor.not_looked_at'])
    assert.deepEqual(diagnosis.what('doctor.not_looked_at'), [
      'Not looked at: postgres, keys, audit, accounts, forwarding, clock, outbox; the database cannot be used',
    ])
    assert.doesNotMatch(JSON.stringify(diagnosis.findings), /sesame/)
  })
})
