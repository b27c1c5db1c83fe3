import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { findFreePort } from '../support/postgres.ts'
import { until } from '../support/until.ts'
import { installPackage, type Project, runProgram } from './support/installed-package.ts'
import { type Issuer, SERVICE_KEY, startIssuer } from './support/issuer.ts'

const README = await readFile(resolve(import.meta.dirname, '../../packages/verify/README.md'), 'utf8')
const PROGRAMS = new Map(
  [...README.matchAll(/```js (\w+)\n(.*?)```/gs)].map(([, name, text]) => [String(name), String(text)]),
)
const SUB = '01992c2e-0000-7000-8000-00000000000a'

let project: Project

before(async () => {
  project = await installPackage()
})
after(() => rm(dirname(project.folder), { recursive: true, force: true }))

/** An issuer whose feed has nothing to tell. */
async function startQuietIssuer(t: TestContext): Promise<Issuer> {
  const issuer = await startIssuer(t)
  const { onFeed } = issuer
  issuer.onFeed = (request, response) => {
    onFeed(request, response)
    response.write(
      `event: snapshot\ndata: {}\n\nevent: heartbeat\nid: 1.a\ndata: {"at":${Math.floor(Date.now() / 1000)}}\n\n`,
    )
  }
  return issuer
}

/** A program of the README, for this issuer and port. */
function programFor(name: string, issuer: Issuer, port: number): string {
  const program = PROGRAMS.get(name) ?? ''
  assert.ok(program.includes("'https://auth.example.com'"), `there is a program for ${name}`)
  return program.replace('https://auth.example.com', issuer.url).replaceAll('3000', String(port))
}

function start(t: TestContext, file: string): ChildProcess {
  const child = spawn(process.execPath, [file], {
    cwd: project.folder,
    env: { ...process.env, POSTERN_KEY: SERVICE_KEY },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  t.after(() => child.kill())
  return child
}

for (const name of ['fastify', 'express', 'node']) {
  test(`README: the program for ${name} works as it stands`, async (t) => {
    const issuer = await startQuietIssuer(t)
    const port = await findFreePort()
    const file = join(project.folder, `${name}.js`)
    await writeFile(file, programFor(name, issuer, port))
    start(t, file)
    const call = (path: string, token?: string) =>
      fetch(`http://localhost:${port}${path}`, { headers: token ? { authorization: `Bearer ${token}` } : {} })
    await until('it listens', () =>
      call('/me').then(
        () => true,
        () => false,
      ),
    )
    assert.equal((await call('/me')).status, 401)
    assert.equal((await call('/orders', issuer.token({ scope: '' }))).status, 403)
    assert.equal((await call('/orders', issuer.token())).status, 200)
    const response = await call('/me', issuer.token())
    assert.deepEqual([response.status, await response.json()], [200, { user: SUB }])
  })
}

for (const name of ['hono', 'web']) {
  test(`README: the program for ${name} works as it stands`, async (t) => {
    const issuer = await startQuietIssuer(t)
    const requests = `
      const call = (token) => api.fetch(new Request('http://localhost/me', { headers: { authorization: token } }))
      const said = [(await call('')).status, await (await call('Bearer ${issuer.token()}')).json()]
      verifier.close()
      console.log(JSON.stringify(said))`
    const program = programFor(name, issuer, 3000).replace('export default', 'const api =')
    const withKey = `process.env.POSTERN_KEY = ${JSON.stringify(SERVICE_KEY)}\n${program}\n${requests}`
    assert.deepEqual(JSON.parse(await runProgram(project, name, withKey)), [401, { user: SUB }])
  })
}

test('README: the program that verifies by hand works as it stands', async (t) => {
  const issuer = await startQuietIssuer(t)
  const calls = `
    await verifier.ready()
    console.log(JSON.stringify([await whoIs('x'), await whoIs('${issuer.token()}')]))
    verifier.close()`
  const withKey = `process.env.POSTERN_KEY = ${JSON.stringify(SERVICE_KEY)}\n${programFor('core', issuer, 3000)}\n${calls}`
  assert.deepEqual(JSON.parse(await runProgram(project, 'core', withKey)), [
    { status: 401, code: 'token_invalid' },
    { user: SUB, mayRead: true },
  ])
})

test('README: every option and code is explained', async () => {
  const sources = resolve(import.meta.dirname, '../../packages/verify/src')
  const options = await readFile(join(sources, 'options.ts'), 'utf8')
  const errors = await readFile(join(sources, 'token-error.ts'), 'utf8')
  const names = [...options.matchAll(/^ {2}(\w+)\??: .*$/gm)].map(([, name]) => name)
  const codes = [...errors.matchAll(/^ {2}(\w+): \{ status/gm)].map(([, code]) => code)
  assert.ok(names.length >= 11 && codes.length === 6)
  for (const name of names.filter((one) => one !== 'api'))
    assert.match(README, new RegExp(`\`(revocations\\.)?${name}\``))
  for (const code of codes) assert.match(README, new RegExp(`\\| \`${code}\` \\|`))
})
