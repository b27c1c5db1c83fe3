import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { passwordLength } from '../../src/core/security/passwords.ts'
import { isCommonPassword } from '../../src/features/passwords/common-passwords.ts'
import { buildPasswordFilter, FILTER_FILE } from '../../tools/build-password-filter.ts'
import { API, onSharedServer } from '../kit.ts'
import { DJANGO, MILLION, WORDS, ZXCVBN } from '../support/password-lists.ts'
import { assertProblem } from '../support/replies.ts'

const MOST_COMMON = 3000
const REASON = /^is among the passwords that attackers try first; choose another: several words/

const hasLength = (least: number) => (password: string) => passwordLength(password) >= least

it('the filter is what `npm run password-filter` makes, byte for byte', () => {
  assert.ok(readFileSync(FILTER_FILE).equals(buildPasswordFilter()))
})

it('the filter has every listed password of 15 characters and more, and 120,000 of 8 and more [V6.2.12]', () => {
  const long = [...MILLION, ...ZXCVBN, ...DJANGO].filter(hasLength(15))
  assert.equal(long.length, 9836)
  assert.deepEqual(
    long.filter((password) => !isCommonPassword(password)),
    [],
  )
  const listed = new Set([...MILLION.slice(0, 300_000), ...ZXCVBN, ...DJANGO].filter(hasLength(8)))
  assert.ok(listed.size > 120_000)
  assert.deepEqual(
    [...listed].filter((password) => !isCommonPassword(password)),
    [],
  )
})

it('the filter has every English word of 15 letters and more', () => {
  const words = WORDS.filter(hasLength(15))
  assert.equal(words.length, 10_074)
  assert.deepEqual(
    words.filter((word) => !isCommonPassword(word)),
    [],
  )
})

it('the filter takes hardly any other password for one of its own', () => {
  const tries = 100_000
  let falseAlarms = 0
  for (let index = 0; index < tries; index++) {
    if (isCommonPassword(randomBytes(12).toString('base64url'))) falseAlarms += 1
  }
  // One in a million is expected, so that five or more come once in ten million runs.
  assert.ok(falseAlarms < 5, `${falseAlarms} of ${tries}`)
})

it('the filter is half full, so that one in a million is the rate', () => {
  const filter = readFileSync(FILTER_FILE)
  const ones = filter.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
  const rate = (ones / (filter.length * 8)) ** 20
  assert.ok(rate < 1.1e-6, String(rate))
})

onSharedServer('common passwords', (server) => {
  const assertAllRefused = async (passwords: string[], refuse: (password: string) => Promise<void>) => {
    assert.equal(passwords.length, MOST_COMMON)
    for (const password of passwords) await refuse(password)
  }
  const mostCommon = (least: number) => MILLION.filter(hasLength(least)).slice(0, MOST_COMMON)
  const assertRefused = async (password: string) => {
    const json = { username: 'somebody', email: 'somebody@example.com', password }
    const reply = await server().call('POST', `${API}/auth/register`, { json })
    assertProblem(reply, { status: 422, code: 'validation_failed', pointers: ['/password'] })
    assert.match(reply.body.errors[0].detail, REASON, password)
  }

  it('register: the 3000 most common of 15 characters and more are refused, and the reply says why and what to do [V6.2.4, V6.2.12, NIST63B-blocklist]', () =>
    assertAllRefused(mostCommon(15), assertRefused))

  it('change of password: the 3000 most common of 15 characters and more are refused, and the old one stays [V6.2.4, NIST63B-blocklist]', async () => {
    const person = await server().register()
    const { access_token: token } = person.tokens
    await assertAllRefused(mostCommon(15), async (password) => {
      const json = { password, current_password: person.password }
      const reply = await server().call('PATCH', `${API}/users/me`, { json, token })
      assertProblem(reply, { status: 422, code: 'validation_failed', pointers: ['/password'] })
      assert.match(reply.body.errors[0].detail, REASON, password)
    })
    await server().login(person)
  })

  it('register: a long word of the dictionary is refused [NIST63B-blocklist]', async () => {
    for (const word of ['responsibilities', 'incomprehensible', 'straightforwardness'])
      await assertRefused(word)
  })

  it('register: case and width make a common password no better [NIST63B-blocklist]', async () => {
    for (const password of ['PASSWORDPASSWORD', 'PasswordPassword', 'ｐａｓｓｗｏｒｄpassword']) {
      await assertRefused(password)
    }
  })

  it('register: a common password with something to it is another password', async () => {
    for (const password of ['passwordpassword in the attic', ' passwordpassword', 'p@sswordpassword7']) {
      await server().register({ password })
    }
  })
})

onSharedServer(
  'common passwords with PASSWORD_MIN_LENGTH=8',
  (server) => {
    it('register: the 3000 most common of 8 characters and more are refused [V6.2.4, NIST63B-blocklist]', async () => {
      const passwords = DJANGO.filter(hasLength(8)).slice(0, MOST_COMMON)
      assert.equal(passwords.length, MOST_COMMON)
      for (const password of passwords) {
        const json = { username: 'somebody', email: 'somebody@example.com', password }
        const reply = await server().call('POST', `${API}/auth/register`, { json })
        assertProblem(reply, { status: 422, code: 'validation_failed', pointers: ['/password'] })
      }
    })
  },
  { passwordMinLength: 8 },
)
