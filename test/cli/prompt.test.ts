import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { PASSWORD, startServer, type TestServer } from '../kit.ts'
import { cliEnv, runCli, runOnTerminal, withoutTerminal } from '../support/cli.ts'

const names = async ({ context: { db } }: TestServer) =>
  (await db.selectFrom('users').select('username').execute()).map(({ username }) => username)

describe('postern users create on a terminal', () => {
  let server: TestServer | undefined
  afterEach(() => server?.close())
  // A prompt does not know which database there is.
  const start = async (): Promise<TestServer> => {
    server = await startServer('sqlite')
    return server
  }

  it('asks for what is missing, shows names but no password', { skip: withoutTerminal }, async () => {
    const server = await start()
    const steps = [
      ['Username: ', 'adx\u007Fa\r'],
      ['E-mail address: ', 'ada@example.com\r'],
      ['Password: ', `${PASSWORD}?\u007F\r`],
      ['Password again: ', `${PASSWORD}\r`],
    ] as const
    const { code, output } = await runOnTerminal(['users', 'create', '--superuser'], steps, cliEnv(server))
    assert.equal(code, 0, output)
    assert.match(output, /ada@example\.com\s+Password: \r\nPassword again: \r\nCreated superuser ada /)
    for (const part of [PASSWORD, PASSWORD.slice(0, 4)]) assert.ok(!output.includes(part))
    await server.login({ username: 'ada', password: PASSWORD })
  })

  it('takes answers that are pasted at once, and asks for no more than is missing', {
    skip: withoutTerminal,
  }, async () => {
    const server = await start()
    const steps = [['Username: ', `ada\r${PASSWORD}\r${PASSWORD}\r`]] as const
    const args = ['users', 'create', '--email', 'ada@example.com']
    const { code, output } = await runOnTerminal(args, steps, cliEnv(server))
    assert.equal(code, 0, output)
    assert.ok(!output.includes('E-mail address') && !output.includes(PASSWORD), output)
    await server.login({ username: 'ada', password: PASSWORD })
  })

  it('two different passwords, Ctrl-C and Ctrl-D create nobody', { skip: withoutTerminal }, async () => {
    const server = await start()
    const args = ['users', 'create', '--username', 'ada', '--email', 'ada@example.com']
    const ask = (...typed: string[]) => {
      const [first = '', second = ''] = typed
      const steps = [
        ['Password: ', first],
        ['Password again: ', second],
      ] as const
      return runOnTerminal(args, steps, cliEnv(server))
    }
    const [different, interrupted, ended] = await Promise.all([
      ask(`${PASSWORD}\r`, `${PASSWORD}!\r`),
      ask(`${PASSWORD}\u0003`),
      ask('\u0004'),
    ])
    assert.match(different.output, /postern:.* The two passwords are not the same; nothing was done\r\n$/)
    assert.match(interrupted.output, /postern:.* interrupted; nothing was done\r\n$/)
    assert.match(ended.output, /postern:.* no answer was given; nothing was done\r\n$/)
    assert.deepEqual([different.code, interrupted.code, ended.code], [1, 130, 1])
    assert.deepEqual(await names(server), [])
  })

  it('a line from a pipe must be UTF-8 and of a sensible length', async () => {
    const server = await start()
    const args = ['users', 'create', '--username', 'ada', '--email', 'ada@example.com']
    const inputs = { 'too long': 'x'.repeat(5000), 'not UTF-8 text': Buffer.from([0xff, 0xfe, 0x0a]) }
    const refuse = async ([flaw, input]: [string, string | Buffer]) => {
      const { code, stderr } = await runCli(args, { env: cliEnv(server), input })
      assert.deepEqual([code, stderr], [1, `postern: The line on standard input is ${flaw}\n`])
    }
    await Promise.all(Object.entries(inputs).map(refuse))
    assert.deepEqual(await names(server), [])
  })
})
