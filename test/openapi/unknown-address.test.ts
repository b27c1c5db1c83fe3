import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { sendBytes } from '../fuzz/wire.ts'
import { type Call, startServer, type TestServer } from '../kit.ts'
import { assertProblem } from '../support/replies.ts'

const BODIES: Call[] = [
  {},
  { json: {} },
  { payload: '{', headers: { 'content-type': 'application/json' } },
  { payload: 'a', headers: { 'content-type': 'text/plain' } },
  { payload: 'a'.repeat(70_000), headers: { 'content-type': 'application/json' } },
]

describe('an address or a method that there is not', () => {
  let server: TestServer
  before(async () => {
    server = await startServer('sqlite')
  })
  after(() => server.close())

  it('is refused as such, whatever is wrong with the body that came along', async () => {
    for (const body of BODIES) {
      assertProblem(await server.call('POST', '/nowhere', body), { status: 404, code: 'not_found' })
      const reply = await server.call('POST', '/health', body)
      assertProblem(reply, { status: 405, code: 'method_not_allowed' })
      assert.equal(reply.headers.allow, 'GET, HEAD')
    }
  })

  it('[RFC9457-3] is told as a path that is a valid URI reference, without query and host', async () => {
    await server.app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = server.app.server.address() as AddressInfo
    const instanceOf = async (target: string) => {
      const bytes = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, 'latin1')
      const { received } = await sendBytes(bytes, { port, timeoutMs: 5000 })
      return /"instance":"([^"]*)"/.exec(received.toString())?.[1]
    }
    assert.equal(await instanceOf('/nowhere?token=secret'), '/nowhere')
    assert.equal(await instanceOf('/{a}|"b"^\\'), '/%7Ba%7D%7C%22b%22%5E%5C')
    assert.equal(await instanceOf('/%zz%20'), '/%25zz%20')
    assert.equal(await instanceOf('http://evil.example/nowhere'), '/nowhere')
  })
})
