import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { it } from 'node:test'
import { PROBLEMS } from '../../src/core/problems.ts'
import { API, type Call, onSharedServer } from '../kit.ts'
import { exchange } from '../support/raw-http.ts'
import { assertDone, assertProblem } from '../support/replies.ts'

const LOGIN = `${API}/auth/login`
const JSON_TYPE = { 'content-type': 'application/json' }
const FORM_TYPE = { 'content-type': 'application/x-www-form-urlencoded' }
const KIB = 1024

onSharedServer('problems', (server) => {
  const post = (call: Call, path = LOGIN) => server().call('POST', path, call)

  it('[RFC9457-3] [RFC9457-4] every problem says what, where and which request, and its type leads to what it means', async () => {
    const reply = await post({ json: { username: 'nobody', password: 'x' } }, `${LOGIN}?transport=body`)
    const { request_id, ...rest } = reply.body
    assert.deepEqual(rest, {
      type: 'http://127.0.0.1:8000/problems/invalid_credentials',
      title: 'Sign-in failed',
      status: 401,
      detail: 'Incorrect username or password',
      code: 'invalid_credentials',
      instance: LOGIN,
    })
    const meaning = await server().call('GET', new URL(rest.type).pathname)
    assert.equal(meaning.status, 200)
    const { status, title, detail } = PROBLEMS.invalid_credentials
    for (const [name, value] of Object.entries({ code: 'invalid_credentials', status, title, detail })) {
      assert.equal(meaning.body[name], value)
    }
  })

  it('[RFC9457-4] every code there is has a page, and no other', async () => {
    for (const [code, problem] of Object.entries(PROBLEMS)) {
      const { status, body } = await server().call('GET', `/problems/${code}`)
      assert.equal(status, 200)
      assert.deepEqual([body.code, body.status, body.title], [code, problem.status, problem.title])
    }
    for (const code of ['none', 'toString', '__proto__', 'x'.repeat(500), '..%2f', 'Invalid_Credentials']) {
      const reply = await server().call('GET', `/problems/${code}`)
      assertProblem(reply, { status: 404, code: 'not_found' })
    }
  })

  it('an unknown path is 404, with any method', async () => {
    for (const path of [
      '/nothing',
      `${API}`,
      `${API}/users/you`,
      '/health/',
      `${LOGIN}/`,
      '/.env',
      '/..%2f',
      `${API}//auth/login`,
    ]) {
      for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS', 'TRACE']) {
        assertProblem(await server().call(method, path), { status: 404, code: 'not_found' })
      }
    }
  })

  it('[V4.1.4] [V13.4.4] a method that a path does not have is 405 with Allow, TRACE too', async () => {
    for (const [path, allow] of [
      ['/', 'GET, HEAD'],
      ['/health', 'GET, HEAD'],
      ['/health/ready', 'GET, HEAD'],
      ['/.well-known/jwks.json', 'GET, HEAD'],
      ['/problems/not_found', 'GET, HEAD'],
      [LOGIN, 'POST'],
      [`${API}/auth/register`, 'POST'],
      [`${API}/auth/refresh`, 'POST'],
      [`${API}/auth/logout`, 'POST'],
      [`${API}/users/me`, 'GET, HEAD, PUT, PATCH, DELETE'],
      [`${API}/users/me/sessions`, 'GET, HEAD'],
      [`${API}/users/me/sessions/anything`, 'DELETE'],
      [`${API}/users/admin-only`, 'GET, HEAD'],
      [`${API}/openapi.json`, 'GET, HEAD'],
    ] as const) {
      for (const method of ['TRACE', 'GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']) {
        if (allow.split(', ').includes(method)) continue
        const reply = await server().call(method, path)
        assertProblem(reply, { status: 405, code: 'method_not_allowed' })
        assert.equal(reply.headers.allow, allow, `${method} ${path}`)
      }
    }
  })

  it('a media type that a route does not take is 415', async () => {
    for (const type of [
      'text/plain',
      'application/xml',
      'application/json5',
      'multipart/form-data; boundary=x',
      'x',
      '/',
    ]) {
      const headers = { 'content-type': type }
      assertProblem(await post({ payload: '{}', headers }), { status: 415, code: 'unsupported_media_type' })
    }
    assertProblem(await post({ payload: '{}' }), { status: 415, code: 'unsupported_media_type' })
  })

  it('the media type is taken with parameters and in any case', async () => {
    for (const type of [
      'application/json; charset=utf-8',
      'APPLICATION/JSON',
      'application/json;charset="utf-8"',
    ]) {
      assert.equal((await post({ payload: '{}', headers: { 'content-type': type } })).status, 422, type)
    }
    const type = 'application/x-www-form-urlencoded; charset=UTF-8'
    assert.equal((await post({ payload: '', headers: { 'content-type': type } })).status, 422)
  })

  it('a body of 64 KiB is read, one byte more is 413', async () => {
    for (const headers of [JSON_TYPE, FORM_TYPE]) {
      const most = headers === JSON_TYPE ? '{}'.padEnd(64 * KIB) : 'x='.padEnd(64 * KIB, 'x')
      assert.equal((await post({ payload: most, headers })).status, 422)
      const reply = await post({ payload: `${most} `, headers })
      assertProblem(reply, {
        status: 413,
        code: 'body_too_large',
        detail: 'The body may have at most 64 KiB',
      })
    }
  })

  it('what is no JSON is 400', async () => {
    for (const payload of [
      '{',
      '{"username":}',
      'username=x',
      "{'a':1}",
      '{"a":1}}',
      '\ufeff{}x',
      'NaN',
      '{"a":1,}',
      '\0',
    ]) {
      assertProblem(await post({ payload, headers: JSON_TYPE }), { status: 400, code: 'malformed_request' })
    }
    const notUtf8 = Buffer.from([0x22, 0xff, 0xfe, 0x22])
    assertProblem(await post({ payload: notUtf8, headers: JSON_TYPE }), {
      status: 400,
      code: 'malformed_request',
    })
  })

  it('an address that cannot be decoded is 400, and its query is not repeated', async () => {
    for (const path of [
      '/%',
      '/%zz',
      '/%ff',
      `${API}/users/me/sessions/%c0%af`,
      '/%zz?access_token=secret',
    ]) {
      const reply = await server().call('GET', path)
      assertProblem(reply, { status: 400, code: 'malformed_request' })
      assert.equal(reply.headers['x-content-type-options'], 'nosniff')
    }
  })

  it('422 names every invalid field by a JSON Pointer, and never its value', async () => {
    const json = {
      username: 'x'.repeat(201),
      email: 'canary',
      password: 'canary'.repeat(200),
      'a/b~c': 'canary',
    }
    const reply = await post({ json }, `${API}/auth/register`)
    const pointers = ['/a~1b~0c', '/password', '/username']
    assertProblem(reply, { status: 422, code: 'validation_failed', pointers })
    for (const { detail } of reply.body.errors) assert.match(detail, /^[a-z]/)
    assert.doesNotMatch(reply.text, /canary/)
  })

  it('[V16.5.1] [RFC9457-5] [V13.4.2] an unexpected failure is a 500 that says nothing but its id', async () => {
    const { context } = server()
    const broken = new Error('canary at /etc/secret')
    const { verify } = context.passwords
    Object.assign(context.passwords, { verify: () => Promise.reject(broken) })
    const reply = await post({ json: { username: 'nobody', password: 'x' } })
    Object.assign(context.passwords, { verify })
    assertProblem(reply, { status: 500, code: 'internal_error' })
    assert.doesNotMatch(reply.text, /canary|secret|stack/)
  })
})

onSharedServer('problems on a real socket', (server) => {
  const listen = async () => {
    if (!server().app.server.listening) await server().app.listen({ host: '127.0.0.1', port: 0 })
    return (server().app.server.address() as AddressInfo).port
  }

  it('what is no HTTP is answered with a problem, and the connection closed', async () => {
    const port = await listen()
    for (const [text, status] of [
      ['hello\r\n\r\n', 400],
      ['GET / HTTP/9.9\r\n\r\n', 400],
      ['BREW / HTTP/1.1\r\nhost: x\r\n\r\n', 400],
      [`GET / HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ] as const) {
      const reply = await exchange(port, text)
      assert.equal(reply.status, status, text.slice(0, 30))
      assert.equal(reply.body.status, status)
      assert.equal(reply.headers.get('content-type'), 'application/problem+json; charset=utf-8')
      assert.equal(reply.headers.get('x-request-id'), reply.body.request_id)
      assert.equal(reply.headers.get('connection'), 'close')
    }
  })

  it('[V4.2.1] a request with two lengths or an odd framing is refused', async () => {
    const port = await listen()
    const start = `POST ${LOGIN} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`
    for (const framing of [
      'content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}',
      'transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n',
      'content-length: 2\r\ncontent-length: 3\r\n\r\n{}',
      'content-length: +2\r\n\r\n{}',
      'content-length: 2, 2\r\n\r\n{}',
      'transfer-encoding: xchunked\r\n\r\n{}',
      'transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n',
      'x: a\r\n b\r\ncontent-length : 2\r\n\r\n{}',
      'x: a\nb: c\r\ncontent-length: 2\r\n\r\n{}',
      'transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n',
    ]) {
      const { status } = await exchange(port, start + framing)
      assert.equal(status, 400, JSON.stringify(framing))
    }
  })

  it('[V4.1.4] TRACE comes back as 405, not as an echo', async () => {
    const { status, body } = await exchange(
      await listen(),
      'TRACE /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-secret: canary\r\n\r\n',
    )
    assert.equal(status, 405)
    assert.doesNotMatch(JSON.stringify(body), /canary/)
  })

  it('a chunked body beyond 64 KiB is 413 as well', async () => {
    const port = await listen()
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>()
    const request = httpRequest({ port, path: LOGIN, method: 'POST', headers: JSON_TYPE, agent: false })
    request.on('response', (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    request.on('error', reject)
    request.write('['.padEnd(64 * KIB))
    request.end(' ')
    assert.equal(await promise, 413)
  })

  it('a logout by curl, with a JSON content type and no body, works', async () => {
    const port = await listen()
    const { tokens } = await server().register()
    const authorization = `authorization: Bearer ${tokens.access_token}`
    const { status } = await exchange(
      port,
      `POST ${API}/auth/logout HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n${authorization}\r\n\r\n`,
    )
    assert.equal(status, 204)
    const again = await server().call('POST', `${API}/auth/logout`, {
      json: { refresh_token: tokens.refresh_token },
    })
    assertDone(again)
  })
})
