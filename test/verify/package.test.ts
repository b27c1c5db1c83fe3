import assert from 'node:assert/strict'
import { readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { checkTypes, installPackage, type Project, runProgram } from './support/installed-package.ts'

let project: Project

before(async () => {
  project = await installPackage()
})
after(() => rm(dirname(project.folder), { recursive: true, force: true }))

const installed = (path: string) => join(project.folder, 'node_modules/@postern/verify', path)
const read = (path: string) => readFile(installed(path), 'utf8')

const STRICT = {
  strict: true,
  noEmit: true,
  target: 'es2022',
  skipLibCheck: false,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  verbatimModuleSyntax: true,
  isolatedModules: true,
}
const RESOLUTIONS = {
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
}
const PLATFORMS = {
  node: { lib: ['es2022'], types: ['node'] },
  web: { lib: ['es2022', 'dom'], types: [] },
}

const USE = `
import { type AccessClaims, createVerifier, hasScope, TokenError, type TokenErrorCode, type Verifier } from '@postern/verify'
import * as express from '@postern/verify/express'
import * as hono from '@postern/verify/hono'
import * as node from '@postern/verify/node'
import * as web from '@postern/verify/web'

const verifier: Verifier = createVerifier({
  issuer: 'https://auth.example.com',
  audience: undefined,
  revocations: { key: async () => 'key', onGap: 'reject', maxStalenessSeconds: 30 },
  fetch: globalThis.fetch,
  onError: (error: Error) => void error.message,
})
export async function whoIs(token: string): Promise<string | TokenErrorCode> {
  try {
    const claims: AccessClaims = await verifier.verify(token)
    // @ts-expect-error claims are not to be changed
    claims.sub = 'another'
    return hasScope(claims, 'a') ? claims.sub : claims.amr.join()
  } catch (error) {
    if (error instanceof TokenError) return error.code
    throw error
  }
}
// @ts-expect-error whether revocations are followed must be said
createVerifier({ issuer: 'https://auth.example.com' })
// @ts-expect-error not a way to go through a gap
createVerifier({ issuer: 'https://auth.example.com', revocations: { key: '', onGap: 'ask' } })
export const middlewares = [express.authenticate(verifier), express.requireScope('a'), hono.authenticate(verifier)]
export const identify = node.authenticate(verifier, { scope: 'a', realm: 'b' })
export const handle = async (request: Request): Promise<Response> => {
  const { claims, response } = await web.authenticate(verifier)(request)
  return response ?? new Response(claims.sub)
}
`

const USE_FASTIFY = `
import { createVerifier } from '@postern/verify'
import { authenticate, posternVerify, requireScope } from '@postern/verify/fastify'
import fastify from 'fastify'

const verifier = createVerifier({ issuer: 'https://auth.example.com', revocations: false })
const app = fastify()
await app.register(posternVerify, { verifier, scope: 'a' })
app.get('/', { onRequest: [authenticate(verifier), requireScope('a')] }, async ({ claims }): Promise<string> => claims.sub)
export {}
`

const USE_EXPRESS = `
import { createVerifier } from '@postern/verify'
import { authenticate, requireScope } from '@postern/verify/express'
import express from 'express'

const verifier = createVerifier({ issuer: 'https://auth.example.com', revocations: false })
const app = express()
app.use(authenticate(verifier, { scope: 'a' }))
app.get('/', authenticate(verifier), requireScope('a'), (_req, res) => void res.json({}))
export {}
`

const USE_HONO = `
import { type AccessClaims, createVerifier } from '@postern/verify'
import { authenticate, requireScope } from '@postern/verify/hono'
import { Hono } from 'hono'

const verifier = createVerifier({ issuer: 'https://auth.example.com', revocations: false })
const app = new Hono<{ Variables: { claims: AccessClaims } }>()
app.use(authenticate(verifier, { scope: 'a' }))
app.get('/', requireScope('a'), (c) => c.json({ user: c.get('claims').sub }))
export default app
`

test('the tarball holds what is needed, and nothing else', async () => {
  const sources = project.files.filter((path) => !/^dist\/[a-z0-9-]+\.(js|d\.ts)$/.test(path))
  assert.deepEqual(sources.sort(), ['LICENSE', 'README.md', 'package.json'])
})

test('it depends on nothing, and every export is there with its types', async () => {
  const { dependencies, peerDependencies, exports, type, license, engines, sideEffects } = JSON.parse(
    await read('package.json'),
  )
  assert.deepEqual([dependencies, peerDependencies], [undefined, undefined])
  assert.deepEqual([type, license, engines.node, sideEffects], ['module', 'Apache-2.0', '>=20', false])
  const paths = Object.values<string | { types: string; default: string }>(exports)
    .flatMap((target) => (typeof target === 'string' ? [target] : [target.types, target.default]))
    .map((path) => path.replace('./', ''))
  assert.equal(paths.length, 13)
  for (const path of paths) assert.ok(project.files.includes(path), path)
})

test('nothing in it imports from anywhere but the package itself, nor uses what only Node.js has', async () => {
  for (const path of project.files.filter((name) => name.endsWith('.js'))) {
    const text = await read(path)
    for (const [, from] of text.matchAll(/(?:from|import) ?\(?'([^']+)'/g))
      assert.match(String(from), /^\.\/[a-z0-9-]+\.js$/)
    assert.doesNotMatch(text, /\b(Buffer|process|require|__dirname|setImmediate)\b\s*[.(]/, path)
  }
})

test('every export is imported by its name from plain JavaScript', async () => {
  const names = ['express', 'fastify', 'hono', 'node', 'web']
  const program = `import * as core from '@postern/verify'
    ${names.map((name) => `import * as ${name} from '@postern/verify/${name}'`).join('\n')}
    const all = { core, ${names.join(', ')} }
    for (const [name, module] of Object.entries(all)) console.log(name, Object.keys(module).sort().join(' '))`
  assert.equal(
    await runProgram(project, 'imports', program),
    [
      'core TokenError createVerifier hasScope',
      'express authenticate requireScope',
      'fastify authenticate posternVerify requireScope',
      'hono authenticate requireScope',
      'node authenticate requireScope',
      'web authenticate requireScope',
    ].join('\n'),
  )
})

for (const [resolution, how] of Object.entries(RESOLUTIONS)) {
  for (const [platform, where] of Object.entries(PLATFORMS)) {
    test(`its types hold for ${platform} with ${resolution}, strictly`, async () => {
      const said = await checkTypes(project, `use-${resolution}-${platform}`, USE, {
        ...STRICT,
        ...how,
        ...where,
      })
      assert.equal(said, '')
    })
  }

  for (const [framework, program] of Object.entries({
    fastify: USE_FASTIFY,
    express: USE_EXPRESS,
    hono: USE_HONO,
  })) {
    test(`its types fit those of ${framework} with ${resolution}`, async () => {
      const options = { ...STRICT, ...how, ...PLATFORMS.node, skipLibCheck: true }
      assert.equal(await checkTypes(project, `use-${framework}-${resolution}`, program, options), '')
    })
  }
}
