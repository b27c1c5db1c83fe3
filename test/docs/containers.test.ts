import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { fileVariable, VARIABLE_NAMES } from '../../src/core/settings/variables.ts'
import { ROOT, readProjectFile } from '../support/documents.ts'

const DOCKERFILE = readProjectFile('Dockerfile')
const SETTING_NAMES = new Set<string>(VARIABLE_NAMES.flatMap((name) => [name, fileVariable(name) ?? name]))

type Service = {
  image: string
  build?: string
  user?: string
  environment: Record<string, string>
  secrets: string[]
  read_only: boolean
  cap_drop: string[]
  security_opt: string[]
}
type Compose = { services: Record<string, Service>; secrets: Record<string, { file: string }> }

const COMPOSE: Compose = parse(readProjectFile('compose.yaml'), { merge: true })
const SERVICES = Object.values(COMPOSE.services)
const NODES = SERVICES.filter(({ build }) => build !== undefined)

describe('Dockerfile', () => {
  it('copies what is there, and what .dockerignore lets through', () => {
    const allowed = readProjectFile('.dockerignore').split('\n')
    const copied = [...DOCKERFILE.matchAll(/^COPY (?!--from)(?:--\S+ )*(.+) \S+$/gm)]
      .flatMap(([, sources = '']) => sources.split(' '))
      .filter((source) => source !== '.')
    assert.ok(copied.length > 0)
    for (const source of copied) {
      assert.ok(existsSync(join(ROOT, source)), source)
      assert.ok(allowed.includes(`!${source}`), `${source} is ignored`)
    }
  })

  it('lets through what the build needs, and nothing else', () => {
    const allowed: string[] = readProjectFile('.dockerignore').match(/^!.+$/gm) ?? []
    for (const line of allowed) assert.ok(existsSync(join(ROOT, line.slice(1))), line)
    for (const secret of ['.env', 'data', 'secrets', '.git'])
      assert.ok(!allowed.includes(`!${secret}`), secret)
  })

  it('sets settings that exist, runs scripts that exist, and starts the command line as another user than root', () => {
    const [, environment = ''] = /^ENV ((?:.*\\\n)*.*)$/m.exec(DOCKERFILE) ?? []
    const names = [...environment.matchAll(/(\w+)=/g)].map(([, name = '']) => name)
    assert.deepEqual(
      names.filter((name) => name !== 'NODE_ENV' && !SETTING_NAMES.has(name)),
      [],
    )
    const { scripts } = JSON.parse(readProjectFile('package.json'))
    for (const [, script = ''] of DOCKERFILE.matchAll(/npm run (\S+)/g)) assert.ok(scripts[script], script)
    assert.match(DOCKERFILE, /^USER node$/m)
    assert.match(DOCKERFILE, /^ENTRYPOINT \["node", "\/app\/bin\/postern\.js"\]$/m)
  })

  it('asks the readiness of the port that is set', async () => {
    const [, command = ''] = /^HEALTHCHECK [^[]*(\[.+\])$/m.exec(DOCKERFILE) ?? []
    const [node, flag, code] = JSON.parse(command)
    assert.deepEqual([node, flag], ['node', '-e'])
    assert.match(code, /process\.env\.PORT \|\| 8000/)
    assert.match(code, /\/health\/ready/)
  })
})

describe('compose.yaml', () => {
  it('runs PostgreSQL and two nodes that share every setting', () => {
    assert.equal(NODES.length, 2)
    assert.deepEqual(NODES[0]?.environment, NODES[1]?.environment)
    assert.ok(SERVICES.some(({ image }) => image.startsWith('postgres:')))
  })

  it('sets settings that exist', () => {
    for (const { environment } of NODES) {
      assert.deepEqual(
        Object.keys(environment).filter((name) => !SETTING_NAMES.has(name)),
        [],
      )
    }
  })

  it('gives every container a read-only root file system and no rights it does not need', () => {
    for (const { read_only, cap_drop, security_opt } of SERVICES) {
      assert.equal(read_only, true)
      assert.deepEqual(cap_drop, ['ALL'])
      assert.deepEqual(security_opt, ['no-new-privileges:true'])
    }
  })

  it('takes its secrets from files that docs/deployment.md makes and git and images leave out', () => {
    const guide = readProjectFile('docs/deployment.md')
    for (const { file } of Object.values(COMPOSE.secrets)) {
      assert.match(guide, new RegExp(`> ${RegExp.escape(file.replace('./', ''))}$`, 'm'))
    }
    assert.match(readProjectFile('.gitignore'), /^secrets\/$/m)
    const paths = SERVICES.flatMap(({ environment }) => Object.entries(environment))
    for (const [name, value] of paths.filter(([name]) => name.endsWith('_FILE'))) {
      const secret = value.replace('/run/secrets/', '')
      assert.ok(COMPOSE.secrets[secret], `${name}: ${value}`)
    }
    for (const { secrets } of SERVICES) for (const name of secrets) assert.ok(COMPOSE.secrets[name], name)
  })
})
