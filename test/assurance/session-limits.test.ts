import assert from 'node:assert/strict'
import { it } from 'node:test'
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/clock.ts'
import { loadSettings } from '../../src/core/settings.ts'
import { startSession } from '../../src/features/sessions/start-session.ts'
import { API, onEachDatabase, type TestServer } from '../kit.ts'
import { readProjectFile, section, tableRows } from '../support/documents.ts'
import { getUser } from '../support/people.ts'
import { sessionOf } from '../support/sessions.ts'

const SESSIONS = section(readProjectFile('docs/security.md'), 'Sessions')

/** The number that the table gives for the setting, and what stands behind it. */
function documented(setting: string): { value: number; text: string } {
  const row = tableRows(SESSIONS).find((cells) => cells[2] === `\`${setting}\``)
  const text = row?.[1] ?? assert.fail(`${setting} is not in the table`)
  return { value: Number.parseInt(text, 10), text }
}

onEachDatabase('the limits of sessions in docs/security.md', ({ start }) => {
  it('[V7.1.1] idle and absolute limit are those that are measured, and the choice is held against NIST SP 800-63B', async () => {
    assert.match(SESSIONS, /NIST SP 800-63B-4[\s\S]+90 days is bearable/)
    const idle = documented('REFRESH_TOKEN_EXPIRE_DAYS').value * DAY
    const absolute = documented('SESSION_MAX_AGE_DAYS').value * DAY
    const server = await start()
    const person = await server.register()
    const unused = await server.login(person)
    server.clock.advance(idle - 1)
    let { refresh_token: token } = (await server.refresh(person.tokens.refresh_token)).body
    server.clock.advance(1)
    assert.equal((await server.refresh(unused.refresh_token)).status, 401, 'unused for as long as it may be')

    for (let age = idle; age < absolute - idle; age += idle - HOUR) {
      const next = await server.refresh(token)
      assert.equal(next.status, 200)
      token = next.body.refresh_token
      server.clock.advance(idle - HOUR)
    }
    const { created_at: begin } = await sessionOf(server, token)
    token = (await server.refresh(token)).body.refresh_token
    server.clock.advance(begin + absolute - 1 - server.context.clock.now())
    const last = await server.refresh(token)
    assert.equal(last.status, 200, 'a millisecond before its end')
    server.clock.advance(1)
    assert.equal((await server.refresh(last.body.refresh_token)).status, 401, 'used until its end')
  })

  it('[V7.1.1] [RFC6750-5.3] so is the life of an access token, and it cannot be set beyond an hour', async () => {
    const { value: minutes, text } = documented('ACCESS_TOKEN_EXPIRE_MINUTES')
    const most = Number(/(\d+) at most/.exec(text)?.[1])
    const server = await start()
    const { tokens } = await server.register()
    assert.equal(tokens.expires_in, minutes * 60)
    server.clock.advance(minutes * MINUTE - SECOND)
    assert.equal((await server.me(tokens.access_token)).status, 200)
    server.clock.advance(SECOND)
    assert.equal((await server.me(tokens.access_token)).status, 401)
    assert.equal(most, 60)
    const load = (value: number) =>
      loadSettings({ env: { ACCESS_TOKEN_EXPIRE_MINUTES: String(value) }, directory: '/nonexistent' })
    assert.equal(load(most).settings.accessTokenTtlMs, HOUR)
    assert.throws(() => load(most + 1), /ACCESS_TOKEN_EXPIRE_MINUTES/)
  })

  it('[V7.1.2] so is the number of sessions at once: the next sign-in ends the oldest', async () => {
    const { value: most, text } = documented('SESSION_LIMIT')
    assert.match(text, /; the next sign-in ends the oldest$/)
    const server = await start()
    const person = await server.register()
    await startSessions(server, person.username, most - 1)
    assert.equal((await server.me(person.tokens.access_token)).status, 200)
    const newest = await server.login(person)
    assert.equal((await server.me(person.tokens.access_token)).status, 401)
    assert.equal(await countSessions(server, newest.access_token), most)
  })
})

/** As sign-ins do, without the work of hashing. */
async function startSessions(server: TestServer, username: string, count: number): Promise<void> {
  const { context } = server
  const { id: userId, password_hash: hash, session_epoch: sessionEpoch } = await getUser(server, username)
  const caller = { ip: '127.0.0.1', userAgent: 'test-agent', requestId: 'test' }
  const signIn = { userId, passwordHash: hash, sessionEpoch, amr: 'pwd' as const, caller }
  for (let number = 0; number < count; number += 1) {
    await context.db.transaction().execute((trx) => startSession(context, trx, signIn))
  }
}

async function countSessions(server: TestServer, token: string): Promise<number> {
  let count = 0
  for (let query = ''; ; ) {
    const { body } = await server.call('GET', `${API}/users/me/sessions${query}`, { token })
    count += body.items.length
    if (body.next === null) return count
    query = `?cursor=${body.next}`
  }
}
