import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { migrations } from '../../src/database/migrations/index.ts'
import { API, onEachDatabase, PASSWORD, startServer, type TestServer } from '../kit.ts'
import type { Env } from '../support/child-process.ts'
import { cliEnv, runCli } from '../support/cli.ts'
import { createTestDatabase, DATABASES } from '../support/databases.ts'
import { guess, nextAddress, signInFromElsewhere } from '../support/guesses.ts'
import { listEvents } from '../support/people.ts'
import { SECRET_KEY } from '../support/secret-key.ts'

for (const kind of DATABASES) {
  describe(`postern migrate (${kind})`, async () => {
    const database = await createTestDatabase(kind)
    after(() => database.drop())
    const env = { DATABASE_URL: database.url, SECRET_KEY }

    it('--check tells what is pending, changes nothing, and exits with 1 until there is nothing', async () => {
      const names = Object.keys(migrations)
      const pending = await runCli(['migrate', '--check'], { env })
      assert.deepEqual([pending.code, pending.stdout], [1, `${names.join('\n')}\n`])
      if (database.settings.kind === 'sqlite') assert.ok(!existsSync(database.settings.file))

      const early = await runCli(['users', 'list'], { env })
      assert.deepEqual([early.code, early.stdout], [1, ''])
      assert.match(early.stderr, /^postern: .*`postern migrate`.*\n$/)

      const applied = await runCli(['migrate', '--json'], { env })
      assert.deepEqual([applied.code, JSON.parse(applied.stdout)], [0, { applied: names }])
      const done = await runCli(['migrate', '--check', '--json'], { env })
      assert.deepEqual([done.code, JSON.parse(done.stdout)], [0, { pending: [] }])
      const again = await runCli(['migrate'], { env })
      assert.deepEqual(again, { code: 0, stdout: '', stderr: 'The tables are up to date.\n' })
    })
  })
}

const create = (env: Env, args: string[], input: string) =>
  runCli(['users', 'create', ...args], { env, input })
const named = (username: string, email: string) => ['--username', username, '--email', email]
const countUsers = async ({ context: { db } }: TestServer) =>
  (await db.selectFrom('users').select('id').execute()).length

onEachDatabase('postern users', ({ start }) => {
  it('create: the user signs in with the line from standard input, and a superuser may what one may', async () => {
    const server = await start()
    const env = cliEnv(server)
    const args = ['--username', 'Ada', '--email', 'ada@example.com']
    const plain = await create(env, args, `${PASSWORD}\nmore\n`)
    assert.equal(plain.stderr, 'Created user Ada (ada@example.com).\n')
    const tokens = await server.login({ username: 'ada', password: PASSWORD })
    assert.equal(plain.stdout, `${(await server.me(tokens.access_token)).body.id}\n`)
    const refused = await server.call('GET', `${API}/users/admin-only`, { token: tokens.access_token })
    assert.equal(refused.status, 403)

    const root = ['--username', 'root', '--email', 'root@example.com', '--superuser', '--json']
    const { stdout, stderr } = await create(env, root, `${PASSWORD}\r\n`)
    assert.equal(stderr, 'Created superuser root (root@example.com).\n')
    const superuser = await server.login({ username: 'root', password: PASSWORD })
    assert.deepEqual(JSON.parse(stdout), (await server.me(superuser.access_token)).body)
    const allowed = await server.call('GET', `${API}/users/admin-only`, { token: superuser.access_token })
    assert.equal(allowed.status, 200)
  })

  it('create: what is taken is one line, exit code 1, and nobody is created', async () => {
    const server = await start()
    await server.register({ username: 'ada' })
    for (const [args, message] of [
      [named('ADA', 'x@example.com'), 'Username already registered'],
      [named('x.y', 'ADA@example.com'), 'Email already registered'],
    ] as const) {
      const expected = { code: 1, stdout: '', stderr: `postern: ${message}\n` }
      assert.deepEqual(await create(cliEnv(server), [...args], PASSWORD), expected)
    }
    assert.equal(await countUsers(server), 1)
  })

  it('list: everyone once, as a table or as JSON, and a reader that stops early is no failure', async () => {
    const server = await start()
    const env = cliEnv(server)
    const ada = await server.register({ username: 'ada' })
    const { body: profile } = await server.me(ada.tokens.access_token)
    const { db } = server.context
    const row = await db.selectFrom('users').selectAll().executeTakeFirstOrThrow()
    const names = Array.from({ length: 1201 }, (_, index) => `user${index}`)
    const others = names.map((name, index) => ({
      ...row,
      id: `ffffffff-ffff-7fff-8fff-${String(index).padStart(12, '0')}`,
      username: name,
      username_key: name,
      email: `${name}@example.com`,
      email_key: `${name}@example.com`,
      is_active: index > 0,
      is_superuser: index < 2,
    }))
    await db.insertInto('users').values(others).execute()

    const json = await runCli(['users', 'list', '--json'], { env })
    const listed: { username: string }[] = JSON.parse(json.stdout)
    assert.deepEqual(listed[0], profile)
    assert.deepEqual(
      listed.map(({ username }) => username),
      ['ada', ...names],
    )
    const table = (await runCli(['users', 'list'], { env })).stdout.split('\n')
    assert.match(table[0] ?? '', /^ID +USERNAME +E-MAIL +CREATED +NOTES$/)
    assert.match(table[1] ?? '', new RegExp(`^${profile.id} +ada +ada@example\\.com +\\d{4}-\\d\\d-\\d\\d$`))
    assert.match(table[2] ?? '', / superuser, disabled$/)
    assert.equal(table.length, 1 + 1202 + 1)
    await readOnlyTheStart(env)
  })

  async function readOnlyTheStart(env: Env): Promise<void> {
    const launcher = resolve(import.meta.dirname, '../../bin/postern.js')
    const child = spawn(process.execPath, [launcher, 'users', 'list', '--json'], {
      env: { ...process.env, ...env },
      timeout: 60_000,
    })
    child.stdout.destroy()
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    const [code] = await once(child, 'close')
    assert.deepEqual([code, stderr], [0, ''])
  }

  it('disable ends every session and shuts out; enable lets in; by username, address or id', async () => {
    const server = await start()
    const env = cliEnv(server)
    const ada = await server.register({ username: 'ada' })
    const { id } = (await server.me(ada.tokens.access_token)).body
    const disabled = await runCli(['users', 'disable', 'ADA'], { env })
    assert.deepEqual([disabled.code, disabled.stdout], [0, ''])
    assert.equal(disabled.stderr, 'Disabled, and ended all sessions of, ada (ada@example.com).\n')
    assert.equal((await server.refresh(ada.tokens.refresh_token)).status, 401)
    const form = { username: 'ada', password: PASSWORD }
    assert.equal((await server.call('POST', `${API}/auth/login`, { form })).body.detail, 'Inactive user')

    const again = await runCli(['users', 'disable', 'Ada@Example.com'], { env })
    assert.deepEqual([again.code, again.stderr], [0, 'ada (ada@example.com) is disabled already.\n'])
    const enabled = await runCli(['users', 'enable', id.toUpperCase()], { env })
    assert.deepEqual([enabled.code, enabled.stderr], [0, 'Enabled ada (ada@example.com).\n'])
    await server.login(ada)
    assert.equal((await server.refresh(ada.tokens.refresh_token)).status, 401)
  })

  it('[V8.3.2] promote and demote: the token that one has opens what is for superusers, and no longer, at once', async () => {
    const server = await start()
    const env = cliEnv(server)
    const ada = await server.register({ username: 'ada' })
    const { access_token: token } = ada.tokens
    const { id } = (await server.me(token)).body
    const statuses = async () => [
      (await server.call('GET', `${API}/admin/audit`, { token })).status,
      (await server.call('GET', `${API}/users/admin-only`, { token })).status,
    ]
    assert.deepEqual(await statuses(), [403, 403])
    for (const [args, told, status] of [
      [['demote', 'ada'], 'ada (ada@example.com) is no superuser.', 403],
      [['promote', 'ADA'], 'ada (ada@example.com) is a superuser now.', 200],
      [['promote', 'Ada@Example.com'], 'ada (ada@example.com) is a superuser already.', 200],
      [['demote', id.toUpperCase()], 'ada (ada@example.com) is a superuser no longer.', 403],
    ] as const) {
      const done = await runCli(['users', ...args], { env })
      assert.deepEqual(done, { code: 0, stdout: '', stderr: `${told}\n` })
      assert.deepEqual(await statuses(), [status, status])
    }
    assert.equal((await server.refresh(ada.tokens.refresh_token)).status, 200)
    const events = (await listEvents(server, id)).filter(({ actor }) => actor === 'operator')
    assert.deepEqual(
      events.map(({ type, detail }) => [type, detail]),
      [
        ['user.promoted', null],
        ['user.demoted', null],
      ],
    )
  })

  it('unlock: failed sign-ins are forgotten, by whichever name, and recorded', async () => {
    const server = await start({ rateLimits: true })
    const env = cliEnv(server)
    const ada = await server.register({ username: 'ada' })
    for (const username of [ada.username, ada.email]) {
      for (let n = 0; n < 6; n += 1) await guess(server, username, { ip: nextAddress() })
    }
    assert.equal((await signInFromElsewhere(server, ada)).status, 429)
    const unlocked = await runCli(['users', 'unlock', 'ADA@example.com'], { env })
    const done = 'Unlocked ada (ada@example.com): failed sign-ins are forgotten.\n'
    assert.deepEqual(unlocked, { code: 0, stdout: '', stderr: done })
    assert.equal((await signInFromElsewhere(server, ada)).status, 200)
    const again = await runCli(['users', 'unlock', 'ada'], { env })
    assert.deepEqual([again.code, again.stderr], [0, 'ada (ada@example.com) has no failed sign-ins.\n'])
    const { db } = server.context
    const events = await db
      .selectFrom('audit_events')
      .select('id')
      .where('type', '=', 'user.unlocked')
      .execute()
    assert.equal(events.length, 1)
  })

  it('[V7.4.5] sessions end: of one user, then of all', async () => {
    const server = await start()
    const env = cliEnv(server)
    const [ada, bob] = [
      await server.register({ username: 'ada' }),
      await server.register({ username: 'bob' }),
    ]
    await server.login(ada)
    const one = await runCli(['sessions', 'end', '--user', 'ada', '--json'], { env })
    assert.deepEqual([one.code, JSON.parse(one.stdout)], [0, { ended: 2 }])
    assert.equal(one.stderr, 'Ended 2 sessions of ada (ada@example.com).\n')
    assert.equal((await server.refresh(ada.tokens.refresh_token)).status, 401)
    assert.equal((await server.me(bob.tokens.access_token)).status, 200)

    const all = await runCli(['sessions', 'end', '--all'], { env })
    assert.deepEqual(all, { code: 0, stdout: '', stderr: 'Ended 1 session of all users.\n' })
    assert.equal((await server.me(bob.tokens.access_token)).status, 401)
  })
})

// These do not know which database there is.
describe('postern users: mistakes', () => {
  let server: TestServer
  let env: Env
  before(async () => {
    server = await startServer('sqlite')
    env = cliEnv(server)
  })
  after(() => server.close())

  it('create: what breaks the rules is one line, exit code 1, and nobody is created', async () => {
    for (const [args, input, message] of [
      [named('x', 'x@example.com'), PASSWORD, 'username must have 3 to 50 characters'],
      [named('x.y', 'x'), PASSWORD, 'email must be an e-mail address of at most 254 characters'],
      [named('x.y', 'x@example.com'), '', 'There is no password on standard input'],
    ] as const) {
      const expected = { code: 1, stdout: '', stderr: `postern: ${message}\n` }
      assert.deepEqual(await create(env, [...args], input), expected)
    }
    const short = await create(env, named('x.y', 'x@example.com'), 'sesame')
    assert.match(short.stderr, /^postern: password must have 15 to 256 characters.*\n$/)
    assert.doesNotMatch(short.stdout + short.stderr, /sesame/)
    assert.equal(await countUsers(server), 0)
  })

  it('a name, an address or an id that nobody has is told in one line, exit code 1', async () => {
    for (const [name, ...args] of [
      ['bob@example.com', 'users', 'disable'],
      ['01a205be-bf62-7148-b184-e3be98f07059', 'users', 'disable'],
      ['eve', 'users', 'promote'],
      ['eve', 'users', 'demote'],
      ['-Vera', 'users', 'disable'],
      ['--help', 'users', 'disable', '--'],
      ['-bob', 'users', 'enable'],
      ['-bob', 'users', 'unlock'],
      ['-bob', 'users', 'remove-password'],
      ['-bob', 'users', 'promote'],
      ['-bob', 'users', 'demote'],
      ['-Vera', 'sessions', 'end', '--user'],
      ['eve', 'sessions', 'end', '--user'],
    ] as const) {
      const { code, stderr } = await runCli([...args, name], { env })
      assert.deepEqual([code, stderr], [1, `postern: There is no user "${name}"\n`])
    }
  })
})
