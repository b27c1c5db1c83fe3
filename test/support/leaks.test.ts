import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { findLeaks } from './leaks.ts'
import { TRACES_VARIABLE } from './traces.ts'

const SECRET = 'planted canary & password'
const HASH = `$argon2id$v=19$m=19456,t=2,p=1$${'A'.repeat(22)}`
const PRIVATE_JWK = JSON.stringify({ jwk: `{"kty":"EC","d":"${'A'.repeat(43)}"}` })
const TOKEN = ['eyJhbGciOiJub25lIn0', 'eyJzdWIiOiJhZGEifQ', 'c2lnbmF0dXJlLXBsYW50ZWQ'].join('.')

describe('the search for secrets in what a run has collected', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'traces-'))
    await writeFile(join(folder, 'secrets-1.txt'), `${JSON.stringify(SECRET)}\n`)
  })

  const leaksOf = async (kind: string, text: string): Promise<string[]> => {
    await writeFile(join(folder, `${kind}-2.txt`), text)
    return (await findLeaks(folder)).leaks
  }

  it('finds nothing where there is nothing, and says how much it has looked at', async () => {
    assert.deepEqual(await leaksOf('log', '{"msg":"request"}\n'), [])
    const { searched } = await findLeaks(folder)
    assert.deepEqual(searched, { output: 0, log: 18, audit: 0, secrets: SECRET.length + 3 })
  })

  it('finds a password, also as a URL or a form has it, a token, a hash and a private key', async () => {
    const encoded = encodeURIComponent(SECRET)
    for (const text of [
      SECRET,
      encoded,
      encoded.replaceAll('%20', '+'),
      `Bearer ${TOKEN}`,
      HASH,
      PRIVATE_JWK,
    ]) {
      for (const kind of ['output', 'log', 'audit']) {
        const [leak = '', ...more] = await leaksOf(kind, `{"msg":"first"}\n{"path":"/x/${text}"}\n`)
        assert.match(leak, new RegExp(`^${kind}: .* in {"path":"/x/`))
        assert.deepEqual(more, [])
        await leaksOf(kind, '')
      }
    }
  })

  it('finds each of thousands, also those that begin alike, where it is first', async () => {
    const secrets = Array.from({ length: 3000 }, (_, n) => `planted canary ${n} é`)
    const lines = secrets.map((secret) => JSON.stringify(secret)).join('\n')
    await writeFile(join(folder, 'secrets-1.txt'), `${lines}\n`)
    const shown = [secrets[7], secrets[2999]]
    assert.deepEqual(await leaksOf('log', `{"first":"${shown[1]}"}\n{"then":"${shown.join()}"}\n`), [
      `log: "${shown[1]}" in {"first":"${shown[1]}"}`,
      `log: "${shown[0]}" in {"then":"${shown.join()}"}`,
    ])
  })

  it('is given what tests remember, what servers log and what processes write', async () => {
    const child = `
      const { createTestLog, rememberSecret } = await import(${JSON.stringify(import.meta.resolve('./traces.ts'))})
      const { run } = await import(${JSON.stringify(import.meta.resolve('./cli.ts'))})
      rememberSecret('another planted canary')
      createTestLog().info('another planted canary')
      await run(process.execPath, ['--eval', 'console.error("another planted " + "canary")'])`
    const env = { ...process.env, [TRACES_VARIABLE]: folder }
    await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', child], { env })
    const { leaks } = await findLeaks(folder)
    assert.deepEqual(leaks.map((leak) => leak.split(':', 1)[0]).sort(), ['log', 'output'])
  })
})
