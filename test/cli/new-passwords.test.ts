import assert from 'node:assert/strict'
import { it } from 'node:test'
import { onSharedServer } from '../kit.ts'
import { cliEnv, runCli } from '../support/cli.ts'
import { getUser } from '../support/people.ts'
import { row, startRangeServer } from '../support/range-server.ts'

const ADA = ['users', 'create', '--username', 'ada.lovelace', '--email', 'countess@example.com']

onSharedServer('postern users create', (server) => {
  const create = (password: string, env = {}) =>
    runCli(ADA, { env: { ...cliEnv(server()), ...env }, input: `${password}\n` })
  const assertRefused = async (password: string, reason: RegExp, env = {}) => {
    const { code, stdout, stderr } = await create(password, env)
    assert.deepEqual([code, stdout], [1, ''], stderr)
    assert.match(stderr, reason)
    assert.ok(!stderr.includes(password))
    await assert.rejects(getUser(server(), 'ada.lovelace'))
  }

  it('refuses a password that is common, or made of known words, and says why and what to do [V6.2.4, V6.2.11, NIST63B-blocklist]', async () => {
    await assertRefused(
      'passwordpassword',
      /^postern: .*is among the passwords that attackers try first; choose/,
    )
    await assertRefused('lovelace&countess', /^postern: .*is made of your username, .*; choose another/)
    await assertRefused('acmeacmeacme123', /is made of/, { PASSWORD_CONTEXT_WORDS: 'acme' })
  })

  it('refuses one known from a breach, and takes it with a warning when the service is down [V6.2.12]', async (t) => {
    const password = 'a horse that everybody knows'
    const range = await startRangeServer()
    t.after(() => range.close())
    range.answerRows(row(password, 3))
    const env = { PWNED_PASSWORDS_URL: range.url }
    await assertRefused(password, /^postern: .*appears in known data breaches/, env)
    range.answer((response) => response.writeHead(500).end())
    const { code, stderr } = await create(password, env)
    assert.equal(code, 0, stderr)
    assert.match(
      stderr,
      /^postern: warning: PWNED_PASSWORDS_URL: the answer has status 500; .*\nCreated user /,
    )
    await server().login({ username: 'ada.lovelace', password })
  })
})
