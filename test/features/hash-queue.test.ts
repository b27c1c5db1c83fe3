import assert from 'node:assert/strict'
import { it } from 'node:test'
import { API, onEachDatabase, PASSWORD, type TestServer } from '../kit.ts'
import { parseMetrics, type Told } from '../support/metrics.ts'
import { insertUser } from '../support/people.ts'
import { assertProblem, assertTokenPair, INVALID_CREDENTIALS } from '../support/replies.ts'

const LOGIN = `${API}/auth/login`
/** Fifty times the work of other hashes; of no password. */
const COSTLY_HASH =
  '$argon2id$v=19$m=19456,t=100,p=1$EXa/Gd5Lb99EeE/j9akNlg$TCyGeq0DeE9w4h+Jmfqthd8pagCn+2IPNBmLM9pxA6g'

const TOKEN = 'scrape-3Zq7-Xw9-pLm2-Vb5-Nn8-Kk4-Rr1'

async function scrape(server: TestServer): Promise<Told> {
  return parseMetrics((await server.call('GET', '/metrics', { token: TOKEN })).text)
}

onEachDatabase('a full hash queue', ({ start }) => {
  it('[V15.2.2] [V2.4.1] refuses with 503 and Retry-After at once, serves everything else, and empties', async () => {
    const server = await start({ hashConcurrency: 1, metrics: { at: 'route', token: TOKEN } })
    const person = await server.register()
    await insertUser(server, { username: 'costly', password_hash: COSTLY_HASH })
    const login = (username: string) => server.call('POST', LOGIN, { form: { username, password: PASSWORD } })

    // The first makes hashing look slow, so that little may wait; the second keeps the only place.
    assertProblem(await login('costly'), INVALID_CREDENTIALS)
    let isOver = false
    const costly = login('costly').finally(() => {
      isOver = true
    })
    const flood = Array.from({ length: 60 }, async () => {
      const reply = await login(person.username)
      return { reply, waited: isOver }
    })
    const json = { username: 'late', email: 'late@example.com', password: PASSWORD }
    const late = await server.call('POST', `${API}/auth/register`, { json })
    const profile = await server.me(person.tokens.access_token)
    const refreshed = await server.refresh(person.tokens.refresh_token)
    assert.equal(isOver, false)
    const during = await scrape(server)
    assert.equal(during.value('postern_hash_queue_running'), 1)
    assert.ok((during.value('postern_hash_queue_waiting') ?? 0) > 0)

    const replies = await Promise.all(flood)
    const refused = replies.filter(({ reply }) => reply.status === 503)
    assert.ok(refused.length > 0 && refused.length < replies.length, `${refused.length}`)
    for (const { reply, waited } of [...refused, { reply: late, waited: false }]) {
      assertProblem(reply, { status: 503, code: 'server_busy' })
      assert.equal(reply.headers['retry-after'], '2')
      assert.equal(waited, false)
    }
    for (const { reply } of replies) if (reply.status !== 503) assertTokenPair(reply)
    assert.equal(profile.status, 200)
    assertTokenPair(refreshed)
    assertProblem(await costly, INVALID_CREDENTIALS)
    const told = await scrape(server)
    assert.equal(told.value('postern_hash_queue_waiting'), 0)
    assert.equal(told.value('postern_hash_queue_refused_total'), refused.length + 1)
    assert.equal(told.value('postern_logins_total', { outcome: 'server_busy' }), refused.length)
    const succeeded = replies.length - refused.length
    assert.equal(told.value('postern_logins_total', { outcome: 'succeeded' }), succeeded)
    assert.equal(told.value('postern_registrations_total', { outcome: 'server_busy' }), 1)
    assert.equal(told.value('postern_problems_total', { code: 'server_busy' }), refused.length + 1)
    assertTokenPair(await login(person.username))
  })
})
