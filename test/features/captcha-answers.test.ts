import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { createCaptcha, probeCaptcha } from '../../src/features/auth/captcha.ts'
import { createMovableClock } from '../kit.ts'
import { startHttpService } from '../support/http-service.ts'

const LONGEST = 64 * 1024
const SOLVED = JSON.stringify({ success: true })

/** A service that answers so, and how often it was asked. */
async function startService(t: TestContext, answer: (reply: ServerResponse) => void) {
  let asked = 0
  const origin = await startHttpService(t, (request, reply) => {
    asked += 1
    request.resume().once('end', () => answer(reply))
  })
  return { settings: { verifyUrl: `${origin}/`, secret: 'x' }, asked: () => asked }
}

async function open(t: TestContext, answer: (reply: ServerResponse) => void) {
  const service = await startService(t, answer)
  const clock = createMovableClock()
  const warnings: string[] = []
  const captcha = createCaptcha(service.settings, { clock, warn: (line) => warnings.push(line) })
  return { ...service, clock, warnings, ask: async () => captcha?.('token', '192.0.2.1') }
}

test('captcha: an answer may come in parts, and be as long as the longest that is read', async (t) => {
  const long = SOLVED.padEnd(LONGEST, ' ')
  const { ask, warnings } = await open(t, (reply) => {
    reply.write(long.slice(0, 5))
    setTimeout(() => reply.end(long.slice(5)), 20)
  })
  assert.equal(await ask(), true)
  assert.deepEqual(warnings, [])
})

test('captcha: what is no answer tells nothing, and is warned of', async (t) => {
  const answers: [string, (reply: ServerResponse) => void][] = [
    ['an error that says yes', (reply) => reply.writeHead(500).end(SOLVED)],
    ['nothing', (reply) => reply.end()],
    ['no JSON', (reply) => reply.end('yes')],
    ['another kind of yes', (reply) => reply.end('{"success":"true"}')],
    ['too much', (reply) => reply.end(SOLVED.padEnd(LONGEST + 1, ' '))],
    ['elsewhere', (reply) => reply.writeHead(302, { location: '/other' }).end()],
  ]
  for (const [name, answer] of answers) {
    const { ask, warnings } = await open(t, answer)
    assert.equal(await ask(), undefined, name)
    assert.equal(warnings.length, 1, name)
  }
})

test('captcha: a service that failed is left alone for 30 seconds, and asked again then', async (t) => {
  const { ask, asked, clock } = await open(t, (reply) => reply.writeHead(500).end())
  await ask()
  clock.advance(29_999)
  assert.equal(await ask(), undefined)
  assert.equal(asked(), 1)
  clock.advance(1)
  await ask()
  assert.equal(asked(), 2)
})

test('captcha: a probe tells whether the secret is refused', async (t) => {
  const expected: [unknown, string][] = [
    [['invalid-input-secret'], 'secret refused'],
    [['invalid-input-response', 'missing-input-secret'], 'secret refused'],
    [['invalid-input-response'], 'unsolved'],
    [['no-invalid-input-secret'], 'unsolved'],
    [['invalid-input-secret-at-all'], 'unsolved'],
    [[], 'unsolved'],
    ['invalid-input-secret', 'unsolved'],
    [undefined, 'unsolved'],
  ]
  for (const [codes, answer] of expected) {
    const { settings } = await startService(t, (reply) =>
      reply.end(JSON.stringify({ success: false, 'error-codes': codes })),
    )
    assert.equal(await probeCaptcha(settings), answer, JSON.stringify(codes))
  }
  const { settings } = await startService(t, (reply) => reply.end(SOLVED))
  assert.equal(await probeCaptcha(settings), 'solved')
  assert.equal(await probeCaptcha({ ...settings, verifyUrl: 'http://127.0.0.1:1/' }), 'no answer')
})
