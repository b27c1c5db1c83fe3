import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { it, type TestContext } from 'node:test'
import { MINUTE } from '../../src/core/clock.ts'
import { createLimits } from '../../src/http/limits.ts'
import { API, onEachDatabase, PASSWORD, type TestServer } from '../kit.ts'
import { guess, nextAddress, requestFrom, signIn, signInOnDevice, startLimited } from '../support/guesses.ts'
import { startHttpService } from '../support/http-service.ts'
import { findFreePort } from '../support/postgres.ts'

const SECRET = 'what the site is known by'

type Answer = (reply: ServerResponse, token: string | null) => void
type Asked = { secret: string | null; response: string | null; remoteip: string | null }

const verify: Answer = (reply, token) => reply.end(JSON.stringify({ success: token === 'solved' }))

/** A siteverify service, as hCaptcha, reCAPTCHA and Turnstile have it. */
async function startService(t: TestContext, answer: Answer = verify) {
  const asked: Asked[] = []
  const origin = await startHttpService(t, async (request, reply) => {
    const body = new URLSearchParams(await new Response(request as never).text())
    asked.push({ secret: body.get('secret'), response: body.get('response'), remoteip: body.get('remoteip') })
    answer(reply, body.get('response'))
  })
  return { captcha: { verifyUrl: `${origin}/siteverify`, secret: SECRET }, asked }
}

let people = 0

const register = (server: TestServer, captcha_token?: string) => {
  people += 1
  const name = `captcha${people}`
  const json = { username: name, email: `${name}@example.com`, password: PASSWORD, captcha_token }
  return server.call('POST', `${API}/auth/register`, { json, ip: '203.0.113.5' })
}

onEachDatabase('captcha', ({ start }) => {
  it('who registers has to solve it; the service is told the secret, the token and the address', async (t) => {
    const { captcha, asked } = await startService(t)
    const server = await startLimited(start, { captcha })
    for (const token of [undefined, 'wrong']) {
      const reply = await register(server, token)
      assert.deepEqual([reply.status, reply.body.code], [403, 'captcha_required'])
    }
    assert.equal((await register(server, 'solved')).status, 200)
    assert.deepEqual(asked, [
      { secret: SECRET, response: 'wrong', remoteip: '203.0.113.5' },
      { secret: SECRET, response: 'solved', remoteip: '203.0.113.5' },
    ])
  })

  it('[V6.3.1] who signs in has to solve it after three failures in a row for the name, or ten at the address', async (t) => {
    const { captcha } = await startService(t)
    const server = await startLimited(start, { captcha })
    for (let n = 0; n < 3; n += 1) {
      assert.equal((await guess(server, 'ada', { ip: nextAddress() })).status, 401)
    }
    const form = { username: 'ada', password: PASSWORD }
    assert.equal((await signIn(server, form, { ip: nextAddress() })).body.code, 'captcha_required')
    const solved = { ...form, captcha_token: 'solved' }
    assert.equal((await signIn(server, solved, { ip: nextAddress() })).body.code, 'invalid_credentials')

    const ip = nextAddress()
    for (let n = 0; n < 10; n += 1) assert.equal((await guess(server, `nobody${n}`, { ip })).status, 401)
    assert.equal((await guess(server, 'nobody10', { ip })).body.code, 'captcha_required')
  })

  it('strangers have to solve it while a thousand sign-ins fail within ten minutes, wherever they come from; none is refused for it', async (t) => {
    const { captcha } = await startService(t)
    const server = await startLimited(start)
    const person = await server.register()
    await server.restart({ captcha })
    const limits = createLimits(server.context)
    await limits.count(requestFrom(), 'failed-login-server', [], 999)
    const { username, password } = person
    const fromElsewhere = (token?: string) =>
      signIn(server, { username, password, ...(token && { captcha_token: token }) }, { ip: nextAddress() })
    assert.equal((await fromElsewhere()).status, 200)
    assert.equal((await guess(server, 'nobody', { ip: nextAddress() })).status, 401)
    assert.equal((await fromElsewhere()).body.code, 'captcha_required')
    assert.equal((await fromElsewhere('solved')).status, 200)
    assert.equal((await signInOnDevice(server, person)).status, 200)
    const reached = await server.context.db
      .selectFrom('audit_events')
      .select('detail')
      .where('type', '=', 'limit.reached')
      .execute()
    assert.deepEqual(reached, [{ detail: '{"limit":"failed-login-server"}' }])
    server.clock.advance(10 * MINUTE)
    assert.equal((await fromElsewhere()).status, 200)
  })

  it('a known device solves none while others fail', async (t) => {
    const { captcha } = await startService(t)
    const server = await startLimited(start)
    const person = await server.register()
    await server.restart({ captcha })
    for (let n = 0; n < 5; n += 1) await guess(server, person.username, { ip: nextAddress() })
    assert.equal((await signInOnDevice(server, person)).status, 200)
  })

  const broken: Record<string, Answer> = {
    'answers 500': (reply) => reply.writeHead(500).end(),
    'answers what is no JSON': (reply) => reply.end('<html>'),
    'answers JSON without success': (reply) => reply.end('{}'),
    'leads elsewhere': (reply) => reply.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
    'says nothing': () => {},
    'never ends': (reply) => {
      const more = () => {
        if (!reply.destroyed) reply.write('x'.repeat(60_000), () => setImmediate(more))
      }
      more()
    },
  }
  for (const [name, answer] of Object.entries(broken)) {
    it(`while its service ${name}, nobody is kept out, and nobody waits longer than three seconds`, async (t) => {
      const { captcha } = await startService(t, answer)
      const server = await startLimited(start, { captcha })
      const startedAt = performance.now()
      assert.equal((await register(server, 'any')).status, 200)
      assert.ok(performance.now() - startedAt < 4500)
      assert.match(
        server.warnings.join(),
        /^CAPTCHA_VERIFY_URL: [^,]*, or none as it should be; until there is, everybody passes$/,
      )
      const again = performance.now()
      assert.equal((await register(server, 'any')).status, 200)
      assert.ok(performance.now() - again < 1500, 'it is left alone for a while')
      assert.equal(
        (await register(server)).body.code,
        'captcha_required',
        'a token has to be sent all the same',
      )
    })
  }

  it('while its service cannot be reached, nobody is kept out', async () => {
    const captcha = { verifyUrl: `http://127.0.0.1:${await findFreePort()}/`, secret: SECRET }
    const server = await startLimited(start, { captcha })
    assert.equal((await register(server, 'any')).status, 200)
  })
})
