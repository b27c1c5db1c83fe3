import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { SECRET_KEY } from '../support/secret-key.ts'
import { type Reply, type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { claimsOf } from '../support/tokens.ts'

const ADA = { username: 'ada', email: 'ada@example.com', password: 'correct horse battery staple' }

describe('the log line of a request', () => {
  let server: ServerProcess
  before(async () => {
    server = await startServerProcess({ SECRET_KEY })
  })
  after(() => server?.stop())

  async function userIn(reply: Reply): Promise<unknown> {
    const id = reply.headers.get('x-request-id')
    return (await server.findLog(({ request_id, msg }) => request_id === id && msg === 'request')).user_id
  }

  it('names the user once they have proved who they are, and nobody whom somebody tried to be', async () => {
    const { call } = server
    const registered = await call('POST', '/api/v1/auth/register', { json: ADA })
    const { sub } = claimsOf(registered.body.access_token)
    const form = { username: ADA.username, password: ADA.password }
    const signedIn = await call('POST', '/api/v1/auth/login', { form })
    const { access_token: token, refresh_token } = signedIn.body
    const refreshed = await call('POST', '/api/v1/auth/refresh', { json: { refresh_token } })
    const profile = await call('GET', '/api/v1/users/me', { token })
    const forbidden = await call('GET', '/api/v1/users/admin-only', { token })
    for (const reply of [registered, signedIn, refreshed, profile, forbidden])
      assert.equal(await userIn(reply), sub, reply.text)

    const failed = await call('POST', '/api/v1/auth/login', { form: { ...form, password: 'wrong' } })
    const forged = await call('GET', '/api/v1/users/me', { token: `${token.slice(0, -4)}AAAA` })
    const health = await call('GET', '/health')
    for (const reply of [failed, forged, health]) assert.equal(await userIn(reply), undefined)
  })
})
