import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { it } from 'node:test'
import fc from 'fast-check'
import { onEachDatabase, type TestServer } from '../kit.ts'
import {
  createReplyChecker,
  type Described,
  documentOf,
  findOperation,
  operationsOf,
  type PlainReply,
} from '../support/openapi.ts'
import { mailSettings } from '../support/outbox.ts'

import { scale } from '../support/scale.ts'
import { type HostileRequest, hostileRequest, type Tokens, writeRequest } from './hostile-request.ts'
import { parseReply, sendBytes } from './wire.ts'

const REQUESTS = scale(750, 10_000)
const ANSWER_WITHIN_MS = 5000
/** A failure tells it; FUZZ_SEED runs the same requests again. */
const SEED = Number(process.env.FUZZ_SEED ?? randomInt(2 ** 31))

onEachDatabase('fuzz', ({ start }) => {
  it(`[V2.2.1][V1.5.3] ${REQUESTS} hostile requests: never a 5xx, never a hang, every reply as documented`, async (t) => {
    const server = await start(mailSettings({ MAGIC_LINKS: 'true' }))
    const port = await listen(server)
    const document = await documentOf(server.app)
    const operations = operationsOf(document)
    const check = createReplyChecker(document)
    const statuses = new Map<string, number>()
    let tokens = await newTokens(server)

    const tryOne = async (request: HostileRequest) => {
      const { received, closed, ms } = await sendBytes(writeRequest(request, tokens), {
        port,
        timeoutMs: ANSWER_WITHIN_MS,
      })
      assert.ok(closed && ms < ANSWER_WITHIN_MS, `no answer within ${ms} ms`)
      const reply = parseReply(received)
      assert.ok(reply, `no reply: ${received.toString('latin1')}`)
      judge(request, reply, findOperation(operations, request.method, request.target), check)
      count(statuses, request.operationId, reply.status)
      // A password that was changed, or a session that was ended, would shut out the requests to come.
      if (reply.status === 204) tokens = await newTokens(server)
    }

    await fc.assert(fc.asyncProperty(hostileRequest(operations), tryOne), {
      numRuns: REQUESTS,
      seed: SEED,
      endOnFailure: true,
      verbose: fc.VerbosityLevel.None,
    })
    t.diagnostic(`replies: ${summarise(statuses)}`)
    await assertReach(server, operations, statuses)
  })
})

function judge(
  { method }: HostileRequest,
  reply: PlainReply,
  described: Described | undefined,
  check: ReturnType<typeof createReplyChecker>,
): void {
  try {
    assert.ok(reply.status < 500, `status ${reply.status}`)
    // RFC 9110 section 9.3.2: all but the body.
    if (method === 'HEAD') assert.equal(reply.text, '')
    else check(reply, described)
  } catch (error) {
    throw new Error(`${String(error)}\nreply: ${reply.status} ${reply.text.slice(0, 2000)}`, { cause: error })
  }
}

async function listen({ app }: TestServer): Promise<number> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  return (app.server.address() as AddressInfo).port
}

const newTokens = async (server: TestServer): Promise<Tokens> => (await server.register()).tokens

const count = (statuses: Map<string, number>, operationId: string, status: number): void => {
  const key = `${operationId} ${status}`
  statuses.set(key, (statuses.get(key) ?? 0) + 1)
}

function summarise(statuses: Map<string, number>): string {
  const byStatus = Map.groupBy(statuses, ([key]) => key.split(' ')[1])
  return [...byStatus]
    .map(([status, counts]) => `${counts.reduce((sum, [, times]) => sum + times, 0)} x ${status}`)
    .toSorted()
    .join(', ')
}

/** Fuzzing that never got past the door would prove nothing. */
async function assertReach(
  server: TestServer,
  operations: readonly Described[],
  statuses: Map<string, number>,
): Promise<void> {
  const reached = (operationId: string, status: number) => (statuses.get(`${operationId} ${status}`) ?? 0) > 0
  for (const { operation } of operations) {
    const outcomes = [...statuses.keys()].filter((key) => key.startsWith(`${operation.operationId} `))
    assert.ok(outcomes.length > 1 || reached(operation.operationId, 200), operation.operationId)
  }
  for (const operationId of ['register', 'login', 'updateOwnProfile']) {
    assert.ok(reached(operationId, 422), operationId)
  }
  assert.ok(reached('getOwnProfile', 200) && reached('getOwnProfile', 401))
  const ready = await server.call('GET', '/health/ready')
  assert.equal(ready.status, 200)
}
