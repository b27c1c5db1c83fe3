import assert from 'node:assert/strict'
import { it } from 'node:test'
import { row, sha1, startRangeServer } from '../support/range-server.ts'
import { startServerProcess } from '../support/server-process.ts'

const PASSWORD = 'canary-Zq7-password-Xw9'
const WARNING = 40

it('the log tells once that the service for breaches is down, and never a password, its hash or a part of that', async (t) => {
  const range = await startRangeServer()
  t.after(() => range.close())
  const server = await startServerProcess({ PWNED_PASSWORDS_URL: range.url, LOG_LEVEL: 'trace' })
  t.after(() => server.stop())
  const register = async (username: string) => {
    const json = { username, email: `${username}@example.com`, password: PASSWORD }
    return (await server.call('POST', '/api/v1/auth/register', { json })).status
  }
  range.answerRows(row(PASSWORD, 2))
  assert.equal(await register('early'), 422)
  range.answer((response) => response.socket?.destroy())
  for (const username of ['one', 'two', 'three']) assert.equal(await register(username), 200)
  assert.equal(range.requests.length, 2)

  const prefix = sha1(PASSWORD).slice(0, 5)
  assert.match(range.requests[0]?.path ?? '', new RegExp(`/${prefix}$`))
  assert.equal((await server.stop()).code, 0)
  const told = server.log().filter(({ msg }) => msg.startsWith('PWNED_PASSWORDS_URL: it cannot be reached'))
  assert.deepEqual(
    told.map(({ level }) => level),
    [WARNING],
  )
  const output = (server.stdout() + server.stderr()).toUpperCase()
  for (const secret of [PASSWORD.toUpperCase(), `/${prefix}`, sha1(PASSWORD).slice(5, 12)]) {
    assert.ok(!output.includes(secret), secret)
  }
})
