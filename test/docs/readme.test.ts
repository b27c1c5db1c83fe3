import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import type { Command } from 'commander'
import { createProgram } from '../../src/cli/program.ts'
import { SETTINGS } from '../../src/core/settings.ts'
import { createTestDatabase, DATABASES, type TestDatabase } from '../support/databases.ts'
import { codeBlocks, ROOT, readProjectFile, section, tableRows } from '../support/documents.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'

const run = promisify(execFile)
const README = readProjectFile('README.md')
const ADDRESS = 'http://127.0.0.1:8000'
const TIMEOUT_MS = 30_000

const isMissing = (program: string): boolean => spawnSync(program, ['--version']).error !== undefined
const missing = ['bash', 'curl', 'sed'].filter(isMissing)

it('README: the table of settings has every setting with its default and meaning, and no other', () => {
  const code = (text: string) => (text === '' ? '' : `\`${text}\``)
  const expected = SETTINGS.map(({ name, default: value, meaning }) => [code(name), code(value), meaning])
  assert.deepEqual(tableRows(section(README, 'Settings')), expected)
})

it('README: the table of commands has every command of the command line, with options that exist', () => {
  const described = new Map<string, string[]>()
  for (const cells of tableRows(section(README, 'Command line'))) {
    const [first = ''] = cells
    const path = /^`postern ([a-z0-9 -]+?)(?= --|[` ](?![a-z]))/.exec(first)?.[1] ?? ''
    const subject = path.split(' ')[0] ?? ''
    const others = [...first.matchAll(/, `([a-z]+) /g)].map(([, name = '']) => `${subject} ${name}`)
    const options = cells.join(' ').match(/--[a-z][a-z0-9-]*/g) ?? []
    for (const command of [path, ...others]) described.set(command, options)
  }
  const commands = listCommands(createProgram(), '')
  assert.deepEqual([...described.keys()].sort(), [...commands.keys()].sort())
  for (const [name, options] of described) {
    for (const option of options) assert.ok(commands.get(name)?.includes(option), `${name} ${option}`)
  }
})

for (const kind of DATABASES) {
  describe(`README (${kind})`, () => {
    let database: TestDatabase
    let server: ServerProcess
    before(async () => {
      database = await createTestDatabase(kind)
      server = await startServerProcess({ DATABASE_URL: database.url, SECRET_KEY, RATE_LIMITS: 'true' })
    })
    after(async () => {
      await server.stop()
      await database.drop()
    })

    const skip = missing.length > 0 && `this machine has no ${missing.join(', ')}`
    it('the five calls work when they are pasted into bash', { skip }, async () => {
      const [walk = ''] = codeBlocks(section(README, 'Five calls'), 'bash')
      assert.equal(walk.match(/^(?!#).*\bcurl /gm)?.length, 5)
      const script = walk.replace(ADDRESS, server.url)
      const { stdout, stderr } = await run('bash', ['-c', script], { timeout: TIMEOUT_MS })
      assert.equal(stderr, '')

      const [registered, signedIn, profile, refreshed, signedOut] = stdout.trimEnd().split('\n')
      const pair = ['access_token', 'expires_in', 'refresh_token', 'token_type']
      const withDevice = [...pair, 'device_token'].sort()
      assert.deepEqual(Object.keys(JSON.parse(registered ?? '')).sort(), withDevice)
      assert.deepEqual(Object.keys(JSON.parse(signedIn ?? '')).sort(), withDevice)
      assert.deepEqual(Object.keys(JSON.parse(refreshed ?? '')).sort(), pair)
      assert.equal(JSON.parse(profile ?? '').username, 'ada')
      assert.equal(signedOut, '204')
    })

    it('the example for APIs takes an access token, and no refresh token', async () => {
      const person = { username: 'grace', email: 'grace@example.com', password: 'a long enough password' }
      const { body } = await server.call('POST', '/api/v1/auth/register', { json: person })
      const claims = await verifyAsInReadme(server.url, body.access_token)
      assert.equal(claims.iss, server.url)
      await assert.rejects(verifyAsInReadme(server.url, body.refresh_token))
    })
  })
}

/** The options of every command that does something, by its full name. */
function listCommands(command: Command, name: string): Map<string, string[]> {
  const inside = command.commands.map((child) => listCommands(child, `${name} ${child.name()}`.trim()))
  if (inside.length > 0) return new Map(inside.flatMap((commands) => [...commands]))
  return new Map([[name, command.options.map(({ long }) => long ?? '')]])
}

/** Runs the README's example against another server: the claims, or a rejection. */
async function verifyAsInReadme(url: string, token: string): Promise<Record<string, unknown>> {
  const [example = ''] = codeBlocks(section(README, 'How an API verifies access tokens'), 'js')
  const call = 'console.log(JSON.stringify(await verifyAccessToken(process.argv[1])))'
  const code = `${example.replace(ADDRESS, url)}\n${call}`
  const options = ['--input-type=module', '--eval', code, token]
  const { stdout } = await run(process.execPath, options, { cwd: ROOT, timeout: TIMEOUT_MS })
  return JSON.parse(stdout)
}
