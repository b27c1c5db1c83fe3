import assert from 'node:assert/strict'
import { afterEach, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { API, onEachDatabase, type TestServer } from '../kit.ts'
import { otherRow, type RangeServer, row, sha1, startRangeServer } from '../support/range-server.ts'
import { assertProblem, assertTokenPair } from '../support/replies.ts'

const BREACHED = 'a horse that everybody knows'
const SECOND = 1000
const REST = 30 * SECOND

onEachDatabase('PWNED_PASSWORDS_URL', ({ start }) => {
  let range: RangeServer
  let closed = true
  afterEach(async () => {
    if (!closed) await range.close()
    closed = true
  })

  const startBoth = async (port?: number): Promise<TestServer> => {
    range = await startRangeServer(port)
    closed = false
    return start({ pwnedPasswordsUrl: range.url })
  }
  const closeRange = async () => {
    await range.close()
    closed = true
  }
  let people = 0
  const register = (server: TestServer, password = BREACHED) => {
    people += 1
    const json = { username: `citizen${people}`, email: `citizen${people}@example.com`, password }
    return server.call('POST', `${API}/auth/register`, { json })
  }
  const assertRefused = async (server: TestServer, password = BREACHED) => {
    const reply = await register(server, password)
    assertProblem(reply, { status: 422, code: 'validation_failed', pointers: ['/password'] })
    assert.match(
      reply.body.errors[0].detail,
      /^appears in known data breaches, .* choose another, and change it wherever you use it: several words/,
    )
  }
  const assertAccepted = async (server: TestServer, password = BREACHED) =>
    assertTokenPair(await register(server, password))
  /** Accepted although the service knows better, with this reason told to the operator. */
  const assertDown = async (server: TestServer, reason: string) => {
    await assertAccepted(server)
    const warning = `PWNED_PASSWORDS_URL: ${reason}; until it answers, new passwords are not looked up there`
    assert.deepEqual(server.warnings, [warning])
  }

  it('register: a password known from a breach is refused, and the reply says why and what to do [V6.2.12, NIST63B-blocklist]', async () => {
    const server = await startBoth()
    range.answerRows(otherRow(1), row(BREACHED, 1), otherRow(2))
    await assertRefused(server)
    range.answerRows(otherRow(1), row(BREACHED, 25_000_000))
    await assertRefused(server)
    range.answer((response) => response.end(`${row(BREACHED, 7)}\n${otherRow(1)}\n`))
    await assertRefused(server)
    assert.deepEqual(server.warnings, [])
  })

  it('change of password: one known from a breach is refused, and the old one stays [V6.2.12]', async () => {
    const server = await startBoth()
    const person = await server.register()
    range.answerRows(row(BREACHED, 12))
    const json = { password: BREACHED, current_password: person.password }
    const reply = await server.call('PATCH', `${API}/users/me`, { json, token: person.tokens.access_token })
    assertProblem(reply, { status: 422, code: 'validation_failed', pointers: ['/password'] })
    await server.login(person)
  })

  it('the service is told five digits of the hash and asked for padding, and what others have in common with it is no harm', async () => {
    const server = await startBoth()
    range.answerRows(otherRow(1), otherRow(2))
    await assertAccepted(server)
    assert.deepEqual(
      range.requests.map(({ path }) => path),
      [`/range/${sha1(BREACHED).slice(0, 5)}`],
    )
    assert.equal(range.requests[0]?.headers['add-padding'], 'true')
    assert.match(range.requests[0]?.headers['user-agent'] ?? '', /^Postern\/\d/)
    assert.ok(!JSON.stringify(range.requests).includes(sha1(BREACHED).slice(5, 10)))
  })

  it('one password in two normal forms is looked up as one', async () => {
    const server = await startBoth()
    const password = 'crème brûlée à la carte'
    range.answerRows(row(password.normalize('NFC'), 4))
    await assertRefused(server, password.normalize('NFD'))
  })

  it('a row of padding is no breach', async () => {
    const server = await startBoth()
    range.answerRows(otherRow(1, 0), row(BREACHED, 0), otherRow(2, 0))
    await assertAccepted(server)
    assert.deepEqual(server.warnings, [])
  })

  it('what is refused without it is not sent', async () => {
    const server = await startBoth()
    for (const password of ['too short', 'passwordpassword', 'posternpostern1']) {
      assert.equal((await register(server, password)).status, 422)
    }
    assert.deepEqual(range.requests, [])
  })

  it('who only signs in or refreshes, or changes something else, waits for no service', async () => {
    const server = await startBoth()
    const person = await server.register()
    await server.refresh((await server.login(person)).refresh_token)
    const token = person.tokens.access_token
    await server.call('PATCH', `${API}/users/me`, { json: { username: 'renamed' }, token })
    assert.equal(range.requests.length, 1)
  })

  it('a service that does not answer within a second: the password is accepted, and the operator told [V6.2.12]', async () => {
    const server = await startBoth()
    range.answer(() => {})
    const startedAt = performance.now()
    await assertDown(server, 'there is no answer within 1000 ms')
    const took = performance.now() - startedAt
    assert.ok(took >= SECOND && took < 4 * SECOND, String(took))
  })

  it('a service that answers drop by drop has the same second for all of it', async () => {
    const server = await startBoth()
    range.answer((response) => {
      let drops = 0
      const drip = setInterval(() => response.write(`${otherRow(drops++)}\r\n`), 50)
      response.on('close', () => clearInterval(drip))
    })
    const startedAt = performance.now()
    await assertDown(server, 'there is no answer within 1000 ms')
    const took = performance.now() - startedAt
    assert.ok(took >= SECOND && took < 4 * SECOND, String(took))
  })

  it('an answer without end is read no further than half a megabyte', async () => {
    const server = await startBoth()
    const piece = Buffer.from(Array.from({ length: 1000 }, (_, index) => `${otherRow(index)}\r\n`).join(''))
    let sent = 0
    range.answer((response) => {
      const pour = (error?: Error | null) => {
        if (error) return
        sent += piece.length
        response.write(piece, pour)
      }
      pour()
    })
    await assertDown(server, 'the answer is too long')
    assert.ok(sent < 32 * 2 ** 20, String(sent))
  })

  it('what is no answer of a range API counts as none, and no redirect is followed', async () => {
    const target = row(BREACHED, 5)
    for (const [answer, reason] of [
      [(response) => response.writeHead(500).end(target), 'the answer has status 500'],
      [(response) => response.writeHead(429).end(target), 'the answer has status 429'],
      [(response) => response.writeHead(204).end(), 'the answer has status 204'],
      [
        (response) => response.end('<!doctype html><title>Sign in to the hotel</title>'),
        'the answer is not one of a range API',
      ],
      [(response) => response.end(), 'the answer is not one of a range API'],
      [(response) => response.socket?.destroy(), 'it cannot be reached (UND_ERR_SOCKET)'],
    ] as [Parameters<RangeServer['answer']>[0], string][]) {
      const server = await startBoth()
      range.answer(answer)
      await assertDown(server, reason)
      await closeRange()
    }
    const server = await startBoth()
    range.answer((response, { url }) =>
      url?.startsWith('/range/')
        ? response.writeHead(302, { location: '/elsewhere' }).end()
        : response.end(target),
    )
    await assertDown(server, 'the answer has status 302')
    assert.equal(range.requests.length, 1)
  })

  it('a service that is gone: the password is accepted, and the operator told [V6.2.12]', async () => {
    const server = await startBoth()
    await closeRange()
    await assertDown(server, 'it cannot be reached (ECONNREFUSED)')
  })

  it('a service that is down is left alone for 30 seconds, then one tries it, and the operator is told once', async () => {
    const server = await startBoth()
    range.answer((response) => response.writeHead(503).end())
    for (let index = 0; index < 3; index++) await assertAccepted(server)
    assert.equal(range.requests.length, 1)
    for (let rest = 2; rest <= 4; rest++) {
      server.clock.advance(REST - 1)
      await assertAccepted(server)
      assert.equal(range.requests.length, rest - 1)
      server.clock.advance(1)
      await Promise.all([1, 2, 3].map(() => assertAccepted(server)))
      assert.equal(range.requests.length, rest)
    }
    assert.equal(server.warnings.length, 1)
  })

  it('a service that is back is asked each time again, and told of anew when it fails again', async () => {
    const server = await startBoth()
    range.answer((response) => response.writeHead(503).end())
    await assertAccepted(server)
    range.answerRows(row(BREACHED, 2))
    server.clock.advance(REST)
    for (let index = 0; index < 3; index++) await assertRefused(server)
    assert.equal(server.warnings.length, 1)
    range.answer((response) => response.writeHead(503).end())
    await assertAccepted(server)
    assert.equal(server.warnings.length, 2)
  })

  it('passwords that come faster than the service answers are not held up: 32 are looked up at once', async () => {
    const server = await startBoth()
    const waiting: (() => void)[] = []
    range.answer((response) => {
      waiting.push(() => response.end(row(BREACHED, 2)))
    })
    const replies = Array.from({ length: 34 }, () => register(server))
    const accepted = await Promise.race(replies)
    assert.equal(accepted.status, 200)
    while (waiting.length < 32) await sleep(5)
    for (const answer of waiting) answer()
    const statuses = (await Promise.all(replies)).map(({ status }) => status)
    assert.deepEqual(
      [200, 422].map((wanted) => statuses.filter((status) => status === wanted).length),
      [2, 32],
    )
  })
})
