import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { hash as argon2Hash } from '@node-rs/argon2'
import { openImportSource } from '../../src/features/users/import-source.ts'
import { importUsers } from '../../src/features/users/import-users.ts'
import { API, onEachDatabase, PASSWORD, type TestServer } from '../kit.ts'
import { cliEnv, runCli, runOnTerminal, withoutTerminal } from '../support/cli.ts'
import { createOriginal, OLD_HASH, OLD_PASSWORD, type OriginalUser } from '../support/original-users.ts'

const many = (count: number): OriginalUser[] => Array.from({ length: count }, () => ({}))

onEachDatabase('postern users import', ({ start, kind }) => {
  let folder: string
  let made = 0
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-import-'))
  })
  after(() => rm(folder, { recursive: true }))
  const makeFile = (users: OriginalUser[], mode?: string): string => {
    made += 1
    const file = join(folder, `app${made}.db`)
    createOriginal(file, users, mode)
    return file
  }
  const allUsers = ({ context: { db } }: TestServer) =>
    db.selectFrom('users').selectAll().orderBy('username_key').execute()
  const loginStatus = async (server: TestServer, username: string, password = OLD_PASSWORD) =>
    (await server.call('POST', `${API}/auth/login`, { form: { username, password } })).status

  it('people sign in with their old passwords, and their hashes become argon2id', async () => {
    const server = await start()
    const file = makeFile([
      { username: 'Ada', is_superuser: 1, updated_at: '2024-02-03 04:05:06' },
      { hashed_password: OLD_HASH.replace('$2b$', '$2a$'), is_active: null, created_at: null },
      { hashed_password: OLD_HASH.replace('$2b$', '$2y$'), is_active: 0 },
      { hashed_password: Buffer.from(OLD_HASH) },
      { hashed_password: await argon2Hash(OLD_PASSWORD) },
    ])
    const { code, stdout, stderr } = await runCli(['users', 'import', '--sqlite', file], {
      env: cliEnv(server),
    })
    assert.deepEqual([code, stdout, stderr], [0, 'Took 5 users, left 0.\n', ''])

    const imported = await allUsers(server)
    assert.deepEqual(
      imported.map(({ bcrypt_cost, is_active, is_superuser }) => [bcrypt_cost, is_active, is_superuser]),
      [
        [4, true, true],
        [4, true, false],
        [4, false, false],
        [4, true, false],
        [null, true, false],
      ],
    )
    const [ada, second] = imported
    assert.equal(ada?.created_at, Date.UTC(2024, 0, 2, 3, 4, 5, 678))
    assert.equal(ada?.updated_at, Date.UTC(2024, 1, 3, 4, 5, 6))
    assert.equal(second?.created_at, second?.updated_at)
    assert.ok(Math.abs((second?.created_at ?? 0) - server.clock.now()) < 600_000)

    assert.equal(await loginStatus(server, 'ada', 'wrong'), 401)
    for (const name of ['ada', 'OLD2', 'old4@example.com', 'old5']) {
      assert.equal(await loginStatus(server, name), 200, name)
      assert.equal(await loginStatus(server, name), 200, `${name} again`)
    }
    assert.equal(await loginStatus(server, 'old3'), 400)
    const tokens = await server.login({ username: 'ada', password: OLD_PASSWORD })
    const admin = await server.call('GET', `${API}/users/admin-only`, { token: tokens.access_token })
    assert.equal(admin.status, 200)
    for (const user of await allUsers(server)) {
      if (user.username === 'old3') continue
      assert.match(user.password_hash ?? '', /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
      assert.equal(user.bcrypt_cost, null)
    }
  })

  it('who cannot be taken is left with the reason; all others come, each with an audit event', async () => {
    const server = await start()
    await server.register({ username: 'ada', password: PASSWORD })
    const slow = '$2b$16$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'
    const file = makeFile([
      { username: 'bob' },
      { username: 'ADA' },
      { email: 'Ada@example.com' },
      { username: 'x' },
      { username: 'eve@example.com' },
      { username: null },
      { email: 'nowhere' },
      { hashed_password: null },
      { hashed_password: `sha256$${'0'.repeat(64)}` },
      { hashed_password: slow },
      { hashed_password: slow.replace('$16$', '$03$') },
      { hashed_password: await argon2Hash(OLD_PASSWORD, { memoryCost: 8192, timeCost: 1 }) },
      { username: 'BOB' },
      { email: 'OLD1@example.com' },
      { username: 'carol' },
    ])
    const env = cliEnv(server)
    const { code, stdout, stderr } = await runCli(['users', 'import', '--sqlite', file, '--json'], { env })
    assert.deepEqual([code, stderr], [0, ''])
    const report = JSON.parse(stdout)
    assert.deepEqual([report.dry_run, report.taken], [false, 2])
    const left: { source_id: string; username: string | null; email: string | null; reason: string }[] =
      report.left
    const reasons = Object.fromEntries(left.map(({ source_id, reason }) => [source_id, reason]))
    assert.deepEqual(reasons, {
      2: 'username_taken',
      3: 'email_taken',
      4: 'invalid_username',
      5: 'invalid_username',
      6: 'invalid_username',
      7: 'invalid_email',
      8: 'unknown_hash',
      9: 'unknown_hash',
      10: 'slow_hash',
      11: 'unknown_hash',
      12: 'unknown_hash',
      13: 'username_taken',
      14: 'email_taken',
    })
    assert.deepEqual(left.find(({ source_id }) => source_id === '2')?.email, 'old2@example.com')
    assert.deepEqual(
      (await allUsers(server)).map(({ username }) => username),
      ['ada', 'bob', 'carol'],
    )
    assert.equal(await loginStatus(server, 'ada', PASSWORD), 200)
    assert.equal(await loginStatus(server, 'bob'), 200)

    const events = await server.context.db
      .selectFrom('audit_events')
      .innerJoin('users', 'users.id', 'audit_events.user_id')
      .select(['username', 'detail'])
      .where('type', '=', 'user.imported')
      .orderBy('username')
      .execute()
    assert.deepEqual(
      events.map(({ username, detail }) => [username, JSON.parse(detail ?? '').source_id]),
      [
        ['bob', '1'],
        ['carol', '15'],
      ],
    )
  })

  it('--dry-run tells the same and changes nothing; a second run takes nobody twice', async () => {
    const server = await start()
    const env = cliEnv(server)
    const file = makeFile([...many(1023), { username: 'bad\u001B[31mname' }, { username: 'old7' }])
    const digest = async () =>
      createHash('sha256')
        .update(await readFile(file))
        .digest('hex')
    const before = await digest()
    const run = (...more: string[]) => runCli(['users', 'import', '--sqlite', file, ...more], { env })

    const dry = await run('--dry-run')
    assert.equal(dry.code, 0)
    assert.match(
      dry.stdout,
      /^Would take 1,023 users, would leave 2\.\n\n1 user left: the username breaks the rules.*\n/,
    )
    assert.ok(!dry.stdout.includes('\u001B'), 'what could steer the terminal is made visible')
    assert.match(dry.stdout, /\n {2}1024 {2}bad\\u\{1b\}\[31mname {2}old1024@example\.com\n/)
    assert.deepEqual(await allUsers(server), [])
    const events = await server.context.db
      .selectFrom('audit_events')
      .select('id')
      .where('type', '=', 'user.imported')
      .execute()
    assert.deepEqual(events, [])

    assert.match((await run()).stdout, /^Took 1,023 users, left 2\.\n/)
    const again = await run()
    assert.match(again.stdout, /^Took 0 users, left 1,025\.\n/)
    assert.match(
      again.stdout,
      /\n1,024 users left: the username is taken, .*\n( {2}\d+ {2}old\d+ .*\n){20} {2}and 1,004 more; /,
    )
    assert.equal((await allUsers(server)).length, 1023)
    assert.equal(await digest(), before)
    assert.equal((await readdir(folder)).filter((name) => name.startsWith(`app${made}.db-`)).length, 0)
  })

  it('ended in the middle, it leaves nothing behind', async () => {
    const server = await start()
    const source = openImportSource(makeFile(many(1500)))
    const controller = new AbortController()
    const stop = new Error('stop')
    const importing = importUsers(server.context, source.rows, {
      isDryRun: false,
      signal: controller.signal,
      onProgress: (done) => done === 1000 && controller.abort(stop),
    })
    await assert.rejects(importing, stop)
    source.close()
    assert.deepEqual(await allUsers(server), [])
    await server.register()
  })

  it('Ctrl-C under the progress bar: rolls back, says so, exit code 130', {
    skip: withoutTerminal,
  }, async () => {
    const server = await start()
    const file = makeFile(many(20_000))
    const steps = [[/Importing \[#*-+\] [\d,]+ of 20,000, [\d,]+\/s/, '\u0003']] as const
    const args = ['users', 'import', '--sqlite', file]
    const { code, output } = await runOnTerminal(args, steps, cliEnv(server))
    assert.match(output, /interrupted; nothing was imported\r?\n$/)
    assert.equal(code, 130)
    assert.deepEqual(await allUsers(server), [])
    await server.register({ username: `after.${kind}` })
  })
})
