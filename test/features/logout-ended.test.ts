import assert from 'node:assert/strict'
import { it } from 'node:test'
import { DAY } from '../../src/core/clock.ts'
import { API, onEachDatabase, type TestServer } from '../kit.ts'
import { assertDone, assertProblem, REFRESH_TOKEN_INVALID } from '../support/replies.ts'
import { mustRefresh } from '../support/sessions.ts'

onEachDatabase('logout by a refresh token that is good for nothing else', ({ start, share }) => {
  it('of a session that has ended: it speaks for no other session, and signing it out again is no failure', async () => {
    const server = await share()
    const person = await server.register()
    const ended = await server.login(person)
    assertDone(await logout(server, ended.refresh_token))
    await assertSpeaksForItselfAlone(server, ended.refresh_token, person.tokens.refresh_token)
  })

  it('of a session that has been idle for too long: the same', async () => {
    const server = await start()
    const person = await server.register()
    server.clock.advance(5 * DAY)
    const { refresh_token: live } = await server.login(person)
    server.clock.advance(3 * DAY)
    await assertSpeaksForItselfAlone(server, person.tokens.refresh_token, live)
  })

  it('an old copy ends its own session and no other', async () => {
    const server = await share()
    const person = await server.register()
    const other = await server.login(person)
    const old = person.tokens.refresh_token
    await mustRefresh(server, await mustRefresh(server, old))
    await assertSpeaksForItselfAlone(server, old, other.refresh_token)
  })
})

const logout = (server: TestServer, refreshToken: string, scope = 'session') =>
  server.call('POST', `${API}/auth/logout?scope=${scope}`, { json: { refresh_token: refreshToken } })

async function assertSpeaksForItselfAlone(server: TestServer, token: string, live: string): Promise<void> {
  for (const scope of ['all', 'others']) {
    assertProblem(await logout(server, token, scope), REFRESH_TOKEN_INVALID)
  }
  for (let time = 0; time < 2; time++) assertDone(await logout(server, token))
  assert.equal((await server.refresh(live)).status, 200)
}
