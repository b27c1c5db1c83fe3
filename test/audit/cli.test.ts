import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, it } from 'node:test'
import { DAY } from '../../src/core/clock.ts'
import { onEachDatabase } from '../kit.ts'
import { chainOf, recordMany, seal, sealedEvents, startChain } from '../support/audit.ts'
import { inheritedEnvironment } from '../support/child-process.ts'
import { cliEnv, runCli, runOnTerminal, withoutTerminal } from '../support/cli.ts'
import { listEvents } from '../support/people.ts'
import { FULL } from '../support/scale.ts'
import { claimsOf } from '../support/tokens.ts'

const LAUNCHER = resolve(import.meta.dirname, '../../bin/postern.js')
const linesOf = (text: string) =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))

onEachDatabase('postern audit', ({ start }) => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-audit-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('verify: says that the log holds, and exits with 0', async () => {
    const server = await startChain(start, 12)
    await recordMany(server, 2)
    const env = cliEnv(server)
    const text = await runCli(['audit', 'verify'], { env })
    const stderr = 'The audit log holds: 12 events, 2 events not sealed yet.\n'
    assert.deepEqual(text, { code: 0, stdout: '', stderr })
    const json = await runCli(['audit', 'verify', '--json'], { env })
    assert.deepEqual(JSON.parse(json.stdout), {
      holds: true,
      first: 1,
      last: 12,
      unproven: 0,
      unsealed: 2,
      compared: 0,
      broken: null,
    })
  })

  it('verify: names the first break, and exits with 1', async () => {
    const server = await startChain(start, 12)
    const env = cliEnv(server)
    const { db } = server.context
    await db.updateTable('audit_events').set({ ip: 'x' }).where('seq', 'in', [7, 9]).execute()
    const id = (await sealedEvents(server))[6]?.id
    const { code, stdout, stderr } = await runCli(['audit', 'verify', '--json'], { env })
    assert.equal(code, 1)
    const told = `postern: The audit log does not hold at number 7 (event ${id}): the event was changed after it was recorded.\nNumbers 1 to 6 hold.\n`
    assert.equal(stderr, told)
    const { holds, last, broken } = JSON.parse(stdout)
    assert.deepEqual([holds, last, broken.what, broken.seq, broken.id], [false, 6, 'changed', 7, id])
  })

  it('verify --against: finds that the database was set back, by an export or by the log', async () => {
    const server = await startChain(start, 12)
    const env = cliEnv(server)
    const old = await chainOf(server)
    const { db } = server.context
    await recordMany(server, 3)
    await seal(server)
    const exported = (await runCli(['audit', 'export'], { env })).stdout
    const logged = linesOf(exported).map((event) => JSON.stringify({ level: 30, msg: 'audit', event }))
    const file = join(folder, `${server.kind}.jsonl`)
    const against = async (text: string) => {
      await writeFile(file, text)
      return runCli(['audit', 'verify', '--against', file], { env })
    }
    const fine = await against(exported)
    assert.equal(
      fine.stderr,
      'The audit log holds: 15 events.\nIt has all that the file tells of: 15 events.\n',
    )
    assert.equal((await against(`\uFEFF${exported}`)).stderr, fine.stderr)
    await db.deleteFrom('audit_events').where('seq', '>', 12).execute()
    await db.updateTable('audit_chain').set(old).execute()
    assert.equal((await runCli(['audit', 'verify'], { env })).code, 0)
    for (const text of [exported, `no json\n${logged.join('\n')}\n{"msg":"other"}\n`]) {
      const { code, stderr } = await against(text)
      assert.equal(code, 1)
      assert.match(
        stderr,
        /^postern: The audit log does not hold at number 13 \(event .*\): the event is gone\.\n/,
      )
    }
    for (const text of ['', '\n', 'no JSON\n', Buffer.from(exported, 'utf8').toString('utf8').slice(0, 20)]) {
      const { code, stderr } = await against(text)
      assert.equal(code, 1)
      assert.match(stderr, /tells of no event, so that nothing can be compared with it\n$/)
    }
    const missing = await runCli(['audit', 'verify', '--against', join(folder, 'nowhere')], { env })
    assert.equal(missing.code, 1)
    assert.match(missing.stderr, /^postern: .*ENOENT.*\n$/)
  })

  it('verify: cannot without the secret, or with another, and says so', async () => {
    const server = await startChain(start, 2)
    const wrong = { ...cliEnv(server), SECRET_KEY: 'Zk1vX8-0bT5nZ2rL7wY4mD9sF6hJ1cP_aGeUiOxQ' }
    const { code, stderr } = await runCli(['audit', 'verify'], { env: wrong })
    assert.equal(code, 1)
    assert.match(stderr, /^postern: Nothing can be verified: .* sealed with another SECRET_KEY\n$/)
    if (server.kind === 'postgres') return
    const { SECRET_KEY: _, ...env } = cliEnv(server)
    const without = await runCli(['audit', 'verify'], { env })
    assert.equal(without.code, 1)
    assert.match(without.stderr, /^postern: There is no secret key yet: set SECRET_KEY/)
  })

  it('verify: goes on after a change of SECRET_KEY', async () => {
    const server = await startChain(start, 3)
    const next = 'Yj2vX8-0bT5nZ2rL7wY4mD9sF6hJ1cP_aGeUiOxW'
    const { secretKey } = server.settings
    await server.restart({ secretKey: next, secretKeyPrevious: secretKey })
    await recordMany(server, 3)
    await seal(server)
    await server.restart({ secretKeyPrevious: undefined })
    await recordMany(server, 3)
    await seal(server)
    const { code, stderr } = await runCli(['audit', 'verify'], { env: cliEnv(server) })
    assert.deepEqual([code, stderr], [0, 'The audit log holds: 11 events.\n'])
    const resealed = (await listEvents(server, null)).filter(({ type }) => type === 'key.resealed')
    const uses = resealed.map(({ detail }) => (detail as { use: string }).use)
    assert.deepEqual(uses.sort(), ['audit', 'sig'])
  })

  it('verify: shows a bar on a terminal', { skip: withoutTerminal }, async () => {
    const server = await startChain(start, 3000)
    const { code, output } = await runOnTerminal(['audit', 'verify'], [], cliEnv(server))
    assert.equal(code, 0)
    assert.match(
      output,
      /Verifying \[[#-]+\] [\d,]+ of 3,000, [\d,]+\/s.*The audit log holds: 3,000 events\./s,
    )
  })

  it('export: every event as a line of JSON, the oldest first', async () => {
    const server = await startChain(start, 2500)
    const { code, stdout, stderr } = await runCli(['audit', 'export'], { env: cliEnv(server) })
    assert.deepEqual([code, stderr], [0, ''])
    const events = linesOf(stdout)
    const stored = await sealedEvents(server)
    assert.deepEqual(
      events.map(({ seq, hash, id }) => ({ seq, hash, id })),
      stored.map(({ seq, hash, id }) => ({ seq, hash, id })),
    )
    assert.deepEqual(Object.keys(events[0]).sort(), [
      'actor',
      'actor_id',
      'actor_name',
      'detail',
      'hash',
      'id',
      'ip',
      'occurred_at',
      'request_id',
      'seq',
      'session_id',
      'type',
      'user_agent',
      'user_id',
    ])
  })

  it('export: filters by time, type, user and actor', async () => {
    const server = await startChain(start, 0)
    const ada = await server.register({ username: 'ada' })
    const id = String(claimsOf(ada.tokens.access_token).sub)
    server.clock.advance(2 * DAY)
    await server.login(ada)
    await server.register()
    const now = server.context.clock.now()
    const day = new Date(now - DAY).toISOString().slice(0, 10)
    const env = cliEnv(server)
    const types = async (...args: string[]) => {
      const { code, stdout, stderr } = await runCli(['audit', 'export', ...args], { env })
      assert.deepEqual([code, stderr], [0, ''], args.join(' '))
      return linesOf(stdout).map(({ type }) => type)
    }
    const [created, signedIn] = ['user.created', 'user.signed_in']
    assert.deepEqual(await types('--user', 'ada'), [created, signedIn])
    assert.deepEqual(await types('--user', id.toUpperCase(), '--type', created), [created])
    assert.deepEqual(await types('--actor', 'ada@example.com', '--since', day), [signedIn])
    assert.deepEqual(await types('--until', day), [created])
    assert.deepEqual(await types('--since', new Date(now).toISOString()), [signedIn, created])
    const wrong = [
      [2, ['--type', 'user.nothing'], /no events of type/],
      [2, ['--since', 'yesterday'], /Expected a date, or a time with its zone/],
      [2, ['--until', '2026-02-30T1:00'], /Expected a date/],
      [1, ['--user', 'nobody'], /There is no user "nobody"/],
    ] as const
    for (const [code, args, message] of wrong) {
      const failed = await runCli(['audit', 'export', ...args], { env })
      assert.deepEqual([failed.code, failed.stdout], [code, ''])
      assert.match(failed.stderr, message)
    }
  })

  it('export: a reader that has had enough is no failure', async () => {
    const server = await startChain(start, 3000)
    const child = spawn(process.execPath, [LAUNCHER, 'audit', 'export'], {
      cwd: folder,
      env: { ...inheritedEnvironment(), ...cliEnv(server) },
    })
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    child.stdout.once('data', () => child.stdout.destroy())
    const [code] = await once(child, 'exit')
    assert.deepEqual([code, stderr], [0, ''])
  })

  it('export: 100,000 events take no more memory than a few', { skip: !FULL }, async () => {
    const server = await startChain(start, 0)
    const env = { ...cliEnv(server), NODE_OPTIONS: '--max-old-space-size=64' }
    await recordMany(server, 100_000)
    const { code, stdout, stderr } = await runCli(['audit', 'export'], { env })
    assert.deepEqual([code, stderr], [0, ''])
    assert.equal(stdout.split('\n').length, 100_001)
  })

  it('what an operator does has their name, and proof of the key when they have it', async () => {
    const server = await startChain(start, 0)
    const ada = await server.register({ username: 'ada' })
    const id = String(claimsOf(ada.tokens.access_token).sub)
    const { SECRET_KEY: _, ...without } = cliEnv(server)
    assert.equal((await runCli(['users', 'disable', 'ada'], { env: cliEnv(server) })).code, 0)
    const isSqlite = server.kind === 'sqlite'
    const env = isSqlite ? without : cliEnv(server)
    assert.equal((await runCli(['users', 'enable', 'ada'], { env })).code, 0)
    assert.equal((await runCli(['sessions', 'end', '--all'], { env: cliEnv(server) })).code, 0)
    const events = [...(await listEvents(server, id)), ...(await listEvents(server, null))]
    const byOperator = events.filter(({ actor }) => actor === 'operator')
    const told = byOperator.map(({ type, actor_name, mac }) => [type, actor_name, mac !== null])
    const { username } = userInfo()
    assert.deepEqual(told.sort(), [
      ['key.revoked', username, true],
      ['session.ended', username, true],
      ['sessions.ended', username, true],
      ['user.disabled', username, true],
      ['user.enabled', username, !isSqlite],
    ])
    await seal(server)
    const verified = await runCli(['audit', 'verify'], { env: cliEnv(server) })
    assert.equal(verified.code, 0)
    assert.equal(/warning: 1 event written without SECRET_KEY/.test(verified.stderr), isSqlite)
  })
})
