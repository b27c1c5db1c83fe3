import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { VERSION } from '../../src/core/version.ts'
import { run } from '../support/cli.ts'
import { FULL } from '../support/scale.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const PATH = [dirname(process.execPath), process.env.PATH].join(delimiter)
const TARBALL = `postern-${VERSION}.tgz`
const LISTENING = /listening on (http:\/\/[\d.]+:\d+)/

describe('the package', () => {
  let folder: string
  let files: string[]
  const npm = (args: string[], where = folder) => run('npm', args, { folder: where, env: { PATH } })

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-package-'))
    const { code, stdout, stderr } = await npm(['pack', '--json', '--pack-destination', folder], ROOT)
    assert.equal(code, 0, stderr)
    const [packed] = JSON.parse(stdout.slice(stdout.indexOf('[\n')))
    files = packed.files.map(({ path }: { path: string }) => path)
    await writeFile(join(folder, 'package.json'), '{ "type": "module", "private": true }')
    await (FULL ? installFromRegistry() : installLinked())
  })
  after(() => rm(folder, { recursive: true, force: true }))

  async function installFromRegistry(): Promise<void> {
    const { code, stdout, stderr } = await npm(['install', '--no-audit', '--no-fund', `./${TARBALL}`])
    assert.equal(code, 0, stdout + stderr)
  }

  /** As npm would, with the checkout's own copies of what the package depends on, and of nothing else. */
  async function installLinked(): Promise<void> {
    const modules = join(folder, 'node_modules')
    await mkdir(join(modules, '.bin'), { recursive: true })
    const { code, stderr } = await run('tar', ['-xzf', join('..', TARBALL)], { folder: modules })
    assert.equal(code, 0, stderr)
    await symlink(join(modules, 'package'), join(modules, 'postern'))
    await symlink('../postern/bin/postern.js', join(modules, '.bin/postern'))
    const { dependencies } = JSON.parse(await readFile(join(modules, 'package/package.json'), 'utf8'))
    for (const name of Object.keys(dependencies)) {
      await mkdir(dirname(join(modules, name)), { recursive: true })
      await symlink(join(ROOT, 'node_modules', name), join(modules, name))
    }
  }

  it('holds what it takes to run and to read about it, and neither sources, tests nor tools', () => {
    const filter = 'dist/features/passwords/common-passwords.bloom'
    const mails = ['dist/features/email/templates/mail.html.liquid', 'dist/features/email/messages/en.json']
    for (const file of [
      'README.md',
      'LICENSE',
      '.env.example',
      'bin/postern.js',
      'dist/app.d.ts',
      filter,
      ...mails,
    ]) {
      assert.ok(files.includes(file), file)
    }
    const strangers = files.filter((file) =>
      /^(?:src|test|tools|bench|node_modules|data)\/|\.test\./.test(file),
    )
    assert.deepEqual(strangers, [])
  })

  it('npx postern runs: version, users, and a server that stops in order', async () => {
    const env = { PATH, PORT: '0' }
    const version = await run('npx', ['--no-install', 'postern', '--version'], { folder, env })
    assert.deepEqual([version.code, version.stdout], [0, `${VERSION}\n`], version.stderr)
    const args = ['users', 'create', '--username', 'ada', '--email', 'ada@example.com']
    const launcher = join(folder, 'node_modules/.bin/postern')
    const input = 'correct horse battery staple\n'
    const refused = await run(launcher, args, { folder, env, input: 'passwordpassword\n' })
    assert.equal(refused.code, 1, refused.stderr)
    assert.match(refused.stderr, /among the passwords that attackers try first/)
    const created = await run(launcher, args, { folder, env, input })
    assert.equal(created.code, 0, created.stderr)
    await serveAndSignIn(launcher, env)
  })

  async function serveAndSignIn(launcher: string, env: Record<string, string>): Promise<void> {
    const options = { cwd: folder, env: { ...process.env, ...env }, timeout: 60_000 }
    const server = spawn(launcher, ['serve'], options)
    let log = ''
    server.stderr.on('data', (chunk) => {
      log += chunk
    })
    for await (const chunk of server.stdout) {
      log += chunk
      if (LISTENING.test(log)) break
    }
    const url = LISTENING.exec(log)?.[1]
    assert.ok(url, log)
    const body = new URLSearchParams({ username: 'ada', password: 'correct horse battery staple' })
    const reply = await fetch(`${url}/api/v1/auth/login`, { method: 'POST', body })
    const docs = await fetch(`${url}/docs`)
    server.kill('SIGTERM')
    const [code] = await once(server, 'close')
    assert.deepEqual([reply.status, docs.status, code], [200, 200, 0], log)
  }

  it('its types resolve: the example of docs/embedding.md compiles, and a wrong use does not', async () => {
    const text = await readFile(join(folder, 'node_modules/postern/docs/embedding.md'), 'utf8')
    const example = /```ts\n([\s\S]*?)```/.exec(text)?.[1] ?? ''
    assert.match(example, /from 'postern'/)
    await writeFile(join(folder, 'example.ts'), example)
    await writeFile(
      join(folder, 'wrong.ts'),
      `import { loadSettings } from 'postern/settings'\nexport const port: string = loadSettings().settings.port\n`,
    )
    const compile = (file: string, module: string[]) => {
      const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
      const types = ['--types', 'node', '--typeRoots', join(ROOT, 'node_modules/@types')]
      const options = ['--noEmit', '--strict', '--target', 'esnext', '--skipLibCheck', ...module, ...types]
      return run(process.execPath, [compiler, ...options, file], { folder })
    }
    const nodenext = ['--module', 'nodenext']
    for (const module of [nodenext, ['--module', 'preserve', '--moduleResolution', 'bundler']]) {
      const { code, stdout } = await compile('example.ts', module)
      assert.deepEqual([code, stdout], [0, ''])
    }
    const wrong = await compile('wrong.ts', nodenext)
    assert.match(wrong.stdout, /^wrong\.ts\(2,14\): error TS2322: Type 'number' is not assignable/)
    assert.notEqual(wrong.code, 0)
  })
})
