import assert from 'node:assert/strict'
import { it } from 'node:test'
import { API, onSharedServer, PASSWORD } from '../kit.ts'
import { assertProblem } from '../support/replies.ts'

/** What ends a header line, steers a terminal, turns text around, does not show, or parts two addresses. */
const HOSTILE = [
  '\r\n',
  '\r',
  '\n',
  '\t',
  '\0',
  '\x1b',
  '\x7f',
  '\x85',
  '\u00a0',
  '\u00ad',
  '\u200b',
  '\u200d',
  '\u2028',
  '\u2029',
  '\u202e',
  '\u2066',
  '\u3000',
  '\ufeff',
  '\u{e0041}',
  ' ',
  '"',
]
const REFUSED = { status: 422, code: 'validation_failed', pointers: ['/email'] }

const addresses = HOSTILE.flatMap((sign) => [
  `a${sign}b@example.com`,
  `"a${sign}b"@example.com`,
  `"a\\${sign}b"@example.com`,
  `ab@exam${sign}ple.com`,
  `${sign}ab@example.com`,
  `ab@example.com${sign}`,
])

onSharedServer('an e-mail address with what could break a header or does not show', (server) => {
  it('[V1.3.11] is 422 when somebody registers, and when they change theirs', async () => {
    const { tokens } = await server().register()
    for (const email of [...addresses, '"quoted"@example.com', '""@example.com', '"a@b"@example.com']) {
      const json = { username: 'hostile', email, password: PASSWORD }
      assertProblem(await server().call('POST', `${API}/auth/register`, { json }), REFUSED)
      const patch = { json: { email }, token: tokens.access_token }
      assertProblem(await server().call('PATCH', `${API}/users/me`, patch), REFUSED)
    }
    assert.match((await server().me(tokens.access_token)).body.email, /^person\d+@example\.com$/)
  })
})
