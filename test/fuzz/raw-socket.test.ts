import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { startServer, type TestServer } from '../kit.ts'
import { createReplyChecker, documentOf } from '../support/openapi.ts'
import { scale } from '../support/scale.ts'
import { MALFORMED, OVERSIZED, request, UNFINISHED } from './malformed.ts'
import { type Outcome, parseReply, sendBytes } from './wire.ts'

const ANSWER_WITHIN_MS = 5000
const SEED = Number(process.env.FUZZ_SEED ?? randomInt(2 ** 31))
const GOOD = request(['GET /health HTTP/1.1', 'Host: 127.0.0.1', 'Connection: close'])

describe('bytes that are no request', () => {
  let server: TestServer
  let port: number
  let check: ReturnType<typeof createReplyChecker>

  before(async () => {
    server = await startServer('sqlite')
    await server.app.listen({ port: 0, host: '127.0.0.1' })
    port = (server.app.server.address() as AddressInfo).port
    check = createReplyChecker(await documentOf(server.app))
  })
  after(() => server.close())

  const send = (bytes: string | Uint8Array, end = false): Promise<Outcome> =>
    sendBytes(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, {
      port,
      timeoutMs: ANSWER_WITHIN_MS,
      end,
    })
  const assertAlive = async () => assert.deepEqual(statusesOf(await send(GOOD)), [200])

  /** Refused once, and nothing that was hidden inside is answered. */
  const assertRefused = (outcome: Outcome, name: string) => {
    assert.ok(outcome.closed, `${name}: still open after ${outcome.ms} ms`)
    const statuses = statusesOf(outcome)
    assert.ok(statuses.length <= 1, `${name}: ${statuses}`)
    assert.ok(
      statuses.every((status) => status >= 400 && status < 500),
      `${name}: ${statuses}`,
    )
    const reply = parseReply(outcome.received)
    // A missing host and an unknown expectation are answered by Node itself, without a body.
    if (reply?.headers['content-type']) check(reply, undefined)
  }

  it('[V4.2.1] two requests in one packet are two: the control for what follows', async () => {
    const first = GOOD.replace('Connection: close\r\n', '')
    assert.deepEqual(statusesOf(await send(first + GOOD)), [200, 200])
  })

  it('[V4.2.1] a message that two parsers could frame differently is refused, and nothing hidden in it is run', async () => {
    for (const [name, bytes] of Object.entries(MALFORMED)) {
      assertRefused(await send(bytes), name)
    }
    await assertAlive()
  })

  it('headers that are too large are refused as such', async () => {
    for (const [name, bytes] of Object.entries(OVERSIZED)) {
      const outcome = await send(bytes)
      assertRefused(outcome, name)
      assert.deepEqual(statusesOf(outcome), [431], name)
      assert.equal(JSON.parse(parseReply(outcome.received)?.text ?? '').code, 'headers_too_large')
    }
    await assertAlive()
  })

  it('a HEAD that cannot be read is refused without a body', async () => {
    const outcome = await send(request(['HEAD \\health HTTP/1.1', 'Host: 127.0.0.1']))
    assert.deepEqual(statusesOf(outcome), [400])
    assert.equal(parseReply(outcome.received)?.text, '')
  })

  it('[V16.5.4] a request that ends half way is refused or dropped', async () => {
    for (const [name, bytes] of Object.entries(UNFINISHED)) assertRefused(await send(bytes, true), name)
    await assertAlive()
  })

  it('[V16.5.4] clients that hang up in the middle do no harm', async () => {
    for (const bytes of [...Object.values(UNFINISHED), GOOD, request(['POST /api/v1/auth/login HTTP/1.1'])]) {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      socket.write(Buffer.from(bytes, 'latin1'))
      socket.resetAndDestroy()
    }
    await assertAlive()
  })

  it('[V16.5.4] garbage: answered or closed, never a 5xx, and the server lives on', async () => {
    const flipped = fc
      .tuple(
        fc.constantFrom(GOOD, ...Object.values(UNFINISHED)),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      )
      .map(([text, flips]) => {
        const bytes = Buffer.from(text, 'latin1')
        for (const [at, value] of flips) bytes[at % bytes.length] = value
        return new Uint8Array(bytes)
      })
    const garbage = fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 300 }), flipped)
    const property = fc.asyncProperty(garbage, async (bytes) => {
      const outcome = await send(bytes, true)
      assert.ok(outcome.closed, `still open after ${outcome.ms} ms`)
      assert.ok(statusesOf(outcome).every((status) => status < 500))
    })
    await fc.assert(property, { numRuns: scale(200, 3000), seed: SEED, endOnFailure: true })
    await assertAlive()
  })
})

/** Of every final reply on the connection. */
const statusesOf = ({ received }: Outcome): number[] =>
  [...received.toString('latin1').matchAll(/HTTP\/1\.1 (\d{3}) /g)]
    .map(([, status]) => Number(status))
    .filter((status) => status >= 200)
