import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { until } from '../support/until.ts'
import { SERVICE_KEY, sendProblem, startIssuer } from './support/issuer.ts'
import { movableTime } from './support/movable-time.ts'
import { openCaughtUp, openVerifier, openWithoutFeed, refusalOf } from './support/verifiers.ts'

const run = promisify(execFile)
const PACKAGE = new URL('../../packages/verify/src/index.ts', import.meta.url).href

test('it connects at once, and is ready when the keys are there and the feed has caught up', async (t) => {
  const issuer = await startIssuer(t)
  const verifier = openVerifier(t, issuer)
  const connection = await issuer.connection(0)
  let isReady = false
  const ready = verifier.ready().then(() => {
    isReady = true
  })
  connection.snapshot()
  connection.endSession('one', '1.a')
  await until('the keys are there', () => verifier.counts().keys === 1)
  await until('the session is known', () => verifier.counts().endedSessions === 1)
  assert.ok(!isReady)
  connection.heartbeat('1.a')
  await ready
  await verifier.ready()
})

test('without revocations it is ready when the keys are there', async (t) => {
  const issuer = await startIssuer(t)
  const verifier = openWithoutFeed(t, issuer)
  await verifier.ready()
  assert.equal(verifier.counts().keys, 1)
})

test('it gets ready although the server is there only later', async (t) => {
  const issuer = await startIssuer(t)
  await issuer.stop()
  const verifier = openVerifier(t, issuer)
  const ready = verifier.ready()
  await until('both were tried', () => verifier.errors.length >= 3)
  await issuer.restart()
  ;(await issuer.connection(0)).heartbeat('1.a')
  await ready
})

test('when it is not ready in time it says what is missing', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const { onKeys } = issuer
  issuer.onKeys = (_request, response) => sendProblem(response, 503, 'server_busy')
  const withoutKeys = openVerifier(t, issuer)
  await until('it is told', () => withoutKeys.errors.length > 0)
  const first = assert.rejects(
    withoutKeys.ready(),
    /^Error: @postern\/verify is not ready: after 10 seconds, GET http:\S+\/jwks\.json: answered 503 server_busy$/,
  )
  time.advance(10_000)
  await first

  issuer.onKeys = onKeys
  const behind = openVerifier(t, issuer)
  await until('the keys are there', () => behind.counts().keys === 1)
  const second = assert.rejects(
    behind.ready({ timeoutSeconds: 3 }),
    /after 3 seconds, the feed of revocations has not/,
  )
  time.advance(3_000)
  await second

  issuer.onFeed = (_request, response) => sendProblem(response, 403, 'insufficient_scope')
  const refused = openVerifier(t, issuer)
  await until('it is told', () => refused.errors.length > 0 && refused.counts().keys === 1)
  const third = assert.rejects(refused.ready(), /revocations: answered 403 insufficient_scope$/)
  time.advance(10_000)
  await third
})

test('close ends the stream and the tries; what was known gets old', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const { verifier, connection } = await openCaughtUp(t, issuer, { onGap: 'reject' })
  const token = issuer.token()
  await verifier.verify(token)
  verifier.close()
  verifier.close()
  await until('the connection is closed', () => !connection.isOpen())
  await verifier.verify(token)
  time.advance(21_000)
  assert.equal(await refusalOf(verifier, token), 'unavailable')
  await issuer.settle()
  assert.equal(issuer.feedRequests.length, 1)
  assert.deepEqual(verifier.errors, [])
})

test('close ends what waits for it to be ready', async (t) => {
  const issuer = await startIssuer(t)
  await issuer.stop()
  const verifier = openVerifier(t, issuer)
  const ready = assert.rejects(verifier.ready(), /not ready: it was closed$/)
  verifier.close()
  await ready
  await assert.rejects(verifier.ready(), /not ready: it was closed$/)
})

test('an onError that throws changes nothing', async (t) => {
  const issuer = await startIssuer(t)
  await issuer.stop()
  let told = 0
  const verifier = openVerifier(t, issuer, {
    onError: () => {
      told += 1
      throw new Error('the log is full')
    },
  })
  await until('it was told three times', () => told >= 3)
  await issuer.restart()
  ;(await issuer.connection(0)).heartbeat('1.a')
  await verifier.ready()
})

/** Runs a program that has a verifier; gives what it wrote, and fails when it does not end by itself. */
async function runProgram(url: string, body: string): Promise<string> {
  const options = JSON.stringify({ issuer: url, revocations: { key: SERVICE_KEY } })
  const program = `import { createVerifier } from ${JSON.stringify(PACKAGE)}
    const verifier = createVerifier(${options})
    ${body}`
  const parameters = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', program]
  const { stdout } = await run(process.execPath, parameters, { timeout: 20_000 })
  return stdout.trim()
}

test('a process that is done with it ends: after close, and also without while the server is away', async (t) => {
  const issuer = await startIssuer(t)
  const { onFeed } = issuer
  issuer.onFeed = (request, response) => {
    onFeed(request, response)
    response.write('event: heartbeat\nid: 1.a\ndata: {"at":1}\n\n')
  }
  const closing =
    'await verifier.ready(); await verifier.verify(token); verifier.close(); console.log("closed")'
  assert.equal(
    await runProgram(issuer.url, `const token = ${JSON.stringify(issuer.token())}; ${closing}`),
    'closed',
  )
  await issuer.stop()
  assert.equal(await runProgram(issuer.url, 'console.log("started")'), 'started')
})

test('a process that waits until it is ready lives as long as that takes', async (t) => {
  const issuer = await startIssuer(t)
  await issuer.stop()
  const waiting = `await verifier.ready({ timeoutSeconds: 0.5 }).catch(({ message }) => console.log(message))`
  assert.match(await runProgram(issuer.url, waiting), /not ready: after 0.5 seconds, GET .+: ECONNREFUSED$/)
})
