import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import type { RevocationOptions } from '../../packages/verify/src/index.ts'
import { until } from '../support/until.ts'
import { type Issuer, SERVICE_KEY, startIssuer } from './support/issuer.ts'
import { openVerifier, refusalOf } from './support/verifiers.ts'

/** Replies that hold whatever was sent. */
const echo: Issuer['onFeed'] = ({ headers }, response) => {
  const sent = JSON.stringify({ code: headers.authorization, detail: headers.authorization })
  response.writeHead(401, { 'content-type': 'application/problem+json', 'x-echo': SERVICE_KEY }).end(sent)
}
const echoAsCode: Issuer['onFeed'] = (_request, response) => {
  response.writeHead(403).end(JSON.stringify({ code: SERVICE_KEY }))
}
const echoAsEvent: Issuer['onFeed'] = (_request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(`event: revocation\nid: 1.a\ndata: {"type":"session","${SERVICE_KEY}":1}\n\n`)
}
const echoAsType: Issuer['onFeed'] = (_request, response) => {
  response.writeHead(200, { 'content-type': SERVICE_KEY }).end(SERVICE_KEY)
}
const brokenHttp: Issuer['onFeed'] = (_request, response) => {
  response.socket?.end(`HTTP/1.1 OK ${SERVICE_KEY}\r\n${SERVICE_KEY}\r\n\r\n`)
}

for (const [name, onFeed] of Object.entries({ echo, echoAsCode, echoAsEvent, echoAsType, brokenHttp })) {
  test(`neither the key nor a token is in what is told, whatever the server says: ${name}`, async (t) => {
    const issuer = await startIssuer(t)
    issuer.onFeed = onFeed
    issuer.onIntrospect = (_token, response, request) => onFeed(request, response)
    const verifier = openVerifier(t, issuer)
    const token = issuer.token()
    assert.equal(await refusalOf(verifier, token), 'unavailable')
    await until('both failures are told', () => verifier.errors.length >= 2)
    const late = await verifier.ready({ timeoutSeconds: 0.001 }).catch((error: unknown) => error)
    const told = inspect([...verifier.errors, late], { depth: 10, showHidden: true })
    assert.ok(!told.includes(SERVICE_KEY), told)
    assert.ok(!told.includes(token), told)
  })
}

const KEYS: Record<string, RevocationOptions['key']> = {
  'cannot be a header': () => `${SERVICE_KEY}\r\nx: y`,
  'is no text': () => [SERVICE_KEY] as unknown as string,
  'is not there': () => {
    throw new Error(`no key like ${SERVICE_KEY}`)
  },
  'is promised in vain': async () => {
    throw new Error(`no key like ${SERVICE_KEY}`)
  },
}

for (const [name, key] of Object.entries(KEYS)) {
  test(`a key that ${name} is told of without a word of it, and refuses tokens in a gap`, async (t) => {
    const issuer = await startIssuer(t)
    const verifier = openVerifier(t, issuer, { revocations: { key } })
    assert.equal(await refusalOf(verifier, issuer.token()), 'unavailable')
    await until('it is told', () => verifier.errors.length >= 2)
    const told = inspect(verifier.errors, { depth: 10, showHidden: true })
    assert.ok(!told.includes(SERVICE_KEY), told)
    assert.match(told, /revocations\.key /)
  })
}

test('a fetch that fails with what was sent is told of by name alone', async (t) => {
  const issuer = await startIssuer(t)
  const verifier = openVerifier(t, issuer, {
    fetch: async (_url, init) => {
      throw new Error(`cannot send ${JSON.stringify(init?.headers)}`, { cause: init })
    },
  })
  await until('it is told', () => verifier.errors.length >= 2)
  const told = inspect(verifier.errors, { depth: 10, showHidden: true })
  assert.ok(!told.includes(SERVICE_KEY), told)
  assert.match(told, /GET \S+\/revocations: Error/)
})

test('the key goes to no other server, even if this one asks for that', async (t) => {
  const issuer = await startIssuer(t)
  const other = await startIssuer(t)
  const elsewhere: Issuer['onFeed'] = ({ url }, response) =>
    void response.writeHead(307, { location: `${other.url}${url}` }).end()
  issuer.onFeed = elsewhere
  issuer.onKeys = elsewhere
  const verifier = openVerifier(t, issuer)
  await until('both were tried', () => issuer.feedRequests.length >= 2 && issuer.keyRequests.length >= 2)
  assert.equal(await refusalOf(verifier, issuer.token()), 'unavailable')
  assert.equal(other.feedRequests.length + other.keyRequests.length, 0)
})
