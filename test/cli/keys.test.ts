import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { it } from 'node:test'
import { HOUR, MINUTE } from '../../src/core/clock.ts'
import { API, onEachDatabase, type TestServer } from '../kit.ts'
import { cliEnv, runCli } from '../support/cli.ts'

const KID = /^[\w-]{43}$/

onEachDatabase('postern keys', ({ start }) => {
  const run = (server: TestServer, ...args: string[]) => runCli(['keys', ...args], { env: cliEnv(server) })
  const list = async (server: TestServer) => JSON.parse((await run(server, 'list', '--json')).stdout)
  const currentOf = (server: TestServer) => server.context.keyring.current().access.current.kid

  it('list: each with its state, as a table or as JSON', async () => {
    const server = await start()
    const [key, ...others] = await list(server)
    assert.deepEqual(others, [])
    assert.match(key.kid, KID)
    assert.deepEqual(
      [key.algorithm, key.state, key.signs_until, key.revoked_at],
      ['ES256', 'current', null, null],
    )
    assert.ok(!JSON.stringify(key).includes('"d"'))
    const table = await run(server, 'list')
    assert.equal(table.code, 0)
    assert.match(table.stdout, /^KEY +ALGORITHM +STATE +PUBLISHED +SIGNS FROM +UNTIL\n/)
    assert.match(table.stdout, new RegExp(`^${key.kid} +ES256 +current +\\S+Z +\\S+Z +-$`, 'm'))
  })

  it('rotate: tells which key signs from when on, and again when it is asked again', async () => {
    const server = await start()
    const first = await run(server, 'rotate', '--json')
    assert.equal(first.code, 0, first.stderr)
    const { kid, signs_from } = JSON.parse(first.stdout)
    assert.match(first.stderr, new RegExp(`^Key ${kid} \\(ES256\\) signs from ${signs_from} on\\.\n$`))
    const again = await run(server, 'rotate', '--json')
    assert.deepEqual([JSON.parse(again.stdout), again.code], [{ kid, signs_from }, 0])
    assert.match(again.stderr, /already set to sign/)
    assert.deepEqual((await list(server)).map(({ state }: { state: string }) => state).sort(), [
      'current',
      'next',
    ])
  })

  it('revoke: the key is dropped, another signs, and a server that runs learns of it', async () => {
    const server = await start()
    const kid = currentOf(server)
    const { tokens } = await server.register()
    const { code, stderr, stdout } = await run(server, 'revoke', kid, '--json')
    assert.equal(code, 0, stderr)
    assert.match(
      stderr,
      new RegExp(`^Revoked the key ${kid}\\.\nKey \\S+ \\(ES256\\) signs from now on\\.\n$`),
    )
    await server.context.keyring.refresh()
    assert.equal(currentOf(server), JSON.parse(stdout).kid)
    assert.equal((await server.me(tokens.access_token)).status, 401)
    for (const unknown of [kid, 'nonsense', `-V${kid.slice(2)}`]) {
      const refused = await run(server, 'revoke', unknown)
      assert.equal(refused.code, 1)
      assert.match(
        refused.stderr,
        /^postern: There is no key \S+ that could be revoked: see `postern keys list`\n$/,
      )
    }
  })

  it('import: PEM or JWK from standard input; what fits not is refused without a word of it', async () => {
    const server = await start()
    const bring = (text: string) => runCli(['keys', 'import', '-'], { env: cliEnv(server), input: text })
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const brought = await bring(pem)
    assert.equal(brought.code, 0, brought.stderr)
    assert.match(
      brought.stderr,
      /^Published the key \S+ \(ES256\)\. It signs after the next rotation: `postern keys rotate`\.\n$/,
    )
    assert.match((await bring(pem)).stderr, /is known already/)
    await run(server, 'rotate')
    await server.context.keyring.refresh()
    // The command has the time of the machine.
    server.clock.advance(HOUR + MINUTE)
    assert.ok(brought.stderr.includes(currentOf(server)))

    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
    assert.equal((await bring(JSON.stringify(other))).code, 0)
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const wrong = [
      rsa.export({ type: 'pkcs8', format: 'pem' }).toString(),
      generateKeyPairSync('ec', { namedCurve: 'P-384' })
        .privateKey.export({ type: 'pkcs8', format: 'pem' })
        .toString(),
      JSON.stringify({ ...other, d: undefined }),
      '{"kty":',
      'nonsense',
      '',
    ]
    for (const text of wrong) {
      const { code, stderr } = await bring(text)
      assert.equal(code, 1, text)
      assert.equal(
        stderr,
        'postern: This is no private key for ES256, as PEM (PKCS #8) or as a JSON Web Key\n',
      )
    }
    const missing = await run(server, 'import', '/nonexistent/key.pem')
    assert.deepEqual(
      [missing.code, missing.stderr],
      [1, 'postern: /nonexistent/key.pem cannot be read: ENOENT\n'],
    )
  })

  it('with HS256 there is nothing to rotate or to bring', async () => {
    const server = await start({ algorithm: 'HS256' })
    for (const args of [['rotate'], ['import', '-']]) {
      const { code, stderr } = await runCli(['keys', ...args], {
        env: { ...cliEnv(server), ALGORITHM: 'HS256' },
      })
      assert.equal(code, 1)
      assert.match(stderr, /^postern: There is no key that signs: with ALGORITHM=HS256 it is derived/)
    }
  })

  it('a key is neither made nor dropped with a secret that is not the server’s: nobody could open the next', async () => {
    const server = await start()
    const kid = currentOf(server)
    const before = await list(server)
    const env = { ...cliEnv(server), SECRET_KEY: 'another secret of at least thirty-two characters' }
    for (const args of [['rotate'], ['revoke', kid]]) {
      const refused = await runCli(['keys', ...args], { env })
      assert.deepEqual([refused.code, refused.stdout], [1, ''])
      assert.match(refused.stderr, new RegExp(`The signing key ${kid} was sealed with another SECRET_KEY`))
    }
    assert.deepEqual(await list(server), before)
  })

  it('after the secret has leaked: with a new one, the end of all sessions drops every key, and the server starts', async () => {
    const server = await start()
    const { tokens } = await server.register({ username: 'ada' })
    const kid = currentOf(server)
    const secretKey = 'another secret of at least thirty-two characters'
    // As the guide says: the key of the audit log could not be opened, either.
    await server.context.db.deleteFrom('audit_events').execute()
    await server.context.db.deleteFrom('audit_chain').execute()
    const env = { ...cliEnv(server), SECRET_KEY: secretKey }
    const ended = await runCli(['sessions', 'end', '--all'], { env })
    assert.deepEqual([ended.code, ended.stderr], [0, 'Ended 1 session of all users.\n'])
    await server.restart({ secretKey })
    assert.notEqual(currentOf(server), kid)
    assert.equal((await server.me(tokens.access_token)).status, 401)
    assert.equal((await server.refresh(tokens.refresh_token)).status, 401)
    const { tokens: later } = await server.register()
    assert.equal((await server.me(later.access_token)).status, 200)
  })
})

onEachDatabase('postern service-keys', ({ start }) => {
  it('create: shows the key once; list shows it never again; revoke takes it back', async () => {
    const server = await start()
    const env = cliEnv(server)
    const run = (...args: string[]) => runCli(['service-keys', ...args], { env })
    const made = await run('create', '--name', 'orders', '--scope', 'revocations:read', 'tokens:introspect')
    assert.equal(made.code, 0, made.stderr)
    assert.match(made.stdout, /^postern_sk_[\w-]{43}\n$/)
    const key = made.stdout.trim()
    assert.match(
      made.stderr,
      /^Made the key \S+ of orders\. It is shown once: keep it as secret as a password\.\n$/,
    )
    const path = `${API}/revocations`
    assert.equal((await server.call('GET', path, { token: key })).status, 200)

    const [listed] = JSON.parse((await run('list', '--json')).stdout)
    assert.deepEqual(
      [listed.name, listed.scope, listed.revoked_at],
      ['orders', 'revocations:read tokens:introspect', null],
    )
    assert.match(listed.used_at, /Z$/)
    const table = (await run('list')).stdout
    assert.match(table, /^ID +NAME +SCOPE +CREATED +LAST USED +STATE\n/)
    assert.ok(!table.includes(key.slice(11)))

    assert.deepEqual(await run('revoke', listed.id), {
      code: 0,
      stdout: '',
      stderr: `Revoked the key ${listed.id}.\n`,
    })
    assert.equal((await server.call('GET', path, { token: key })).status, 401)
    for (const id of [listed.id, 'nonsense']) {
      const refused = await run('revoke', id)
      assert.equal(refused.code, 1)
      assert.match(refused.stderr, /that could be revoked: see `postern service-keys list`/)
    }
  })

  it('a scope that there is not, and a name that cannot be shown, are refused', async () => {
    const server = await start()
    const env = cliEnv(server)
    const wrong = await runCli(['service-keys', 'create', '--name', 'x', '--scope', 'everything'], { env })
    assert.equal(wrong.code, 2)
    assert.match(wrong.stderr, /revocations:read, tokens:introspect/)
    const unnamed = await runCli(['service-keys', 'create', '--scope', 'revocations:read'], { env })
    assert.equal(unnamed.code, 2)
    const hostile = await runCli(
      ['service-keys', 'create', '--name', 'a\u001b[2J', '--scope', 'revocations:read'],
      { env },
    )
    assert.deepEqual(
      [hostile.code, hostile.stderr],
      [1, 'postern: A name has 1 to 100 printable characters\n'],
    )
  })
})
