import assert from 'node:assert/strict'
import { it } from 'node:test'
import * as argon2 from '@node-rs/argon2'
import { API, onSharedServer } from '../kit.ts'
import { getUser, insertBcryptUser, insertUser } from '../support/people.ts'
import { assertProblem, assertTokenPair, INVALID_CREDENTIALS } from '../support/replies.ts'

let people = 0

onSharedServer('passwords', (server) => {
  const register = (password: string) => {
    people += 1
    const username = `holder${people}`
    const json = { username, email: `${username}@example.com`, password }
    return server().call('POST', `${API}/auth/register`, { json })
  }
  /** Registers somebody with this password, who can then sign in with it and with none of the others. */
  const assertExact = async (password: string, others: string[] = []) => {
    assertTokenPair(await register(password))
    const username = `holder${people}`
    await server().login({ username, password })
    for (const other of others) await assertWrong(username, other)
  }
  const assertWrong = async (username: string, password: string) => {
    const json = { username, password }
    const reply = await server().call('POST', `${API}/auth/login`, { json })
    assertProblem(reply, INVALID_CREDENTIALS)
  }
  const assertRefused = async (password: string) => {
    const reply = await register(password)
    assertProblem(reply, { status: 422, code: 'validation_failed', pointers: ['/password'] })
    return reply.body.errors[0].detail
  }

  it('15 to 256 characters [V6.2.1, NIST63B-len15]', async () => {
    const rule = /^must have 15 to 256 characters; several words .* are hard to guess and easy to remember$/
    for (const length of [1, 7, 8, 14, 257, 1024]) assert.match(await assertRefused('ß'.repeat(length)), rule)
    for (const length of [0, 1025]) await assertRefused('ß'.repeat(length))
    for (const length of [15, 256]) assertTokenPair(await register('ß'.repeat(length)))
  })

  it('64 and 128 characters work, of several bytes too [V6.2.9, NIST63B-max64]', async () => {
    await assertExact('x'.repeat(64))
    await assertExact('ж€'.repeat(64), ['ж€'.repeat(63)])
  })

  it('a code point is one character, whatever its bytes and parts [NIST63B-chars]', async () => {
    await assertRefused('😀'.repeat(14))
    await assertExact('😀'.repeat(15))
    assertTokenPair(await register('😀'.repeat(256)))
    await assertRefused('😀'.repeat(257))
    await assertRefused('e\u0301'.repeat(14))
    assertTokenPair(await register('e\u0301'.repeat(256)))
  })

  it('no composition rules [V6.2.5, NIST63B-nocomp]', async () => {
    for (const password of [
      'abcdefghijklmnopqrst',
      'ABCDEFGHIJKLMNOPQRST',
      '73910582640182739465',
      '    spaces    between   ',
      '😀'.repeat(20),
    ]) {
      assertTokenPair(await register(password))
    }
  })

  it('every printing character of ASCII and the space may stand in it [NIST63B-chars]', async () => {
    const printing = Array.from({ length: 95 }, (_, index) => String.fromCodePoint(32 + index)).join('')
    await assertExact(printing, [printing.trimStart(), printing.slice(0, -1)])
  })

  it('[NIST63B-norm] one password in two normal forms is one password', async () => {
    const composed = 'cr\u00e8me br\u00fbl\u00e9e \u00e0 la carte'
    for (const [set, typed] of [
      [composed, composed.normalize('NFD')],
      [composed.normalize('NFD'), composed],
    ] as const) {
      assertTokenPair(await register(set))
      await server().login({ username: `holder${people}`, password: typed })
    }
  })

  it('[V6.2.8] [NIST63B-whole] verified exactly as sent: no trimming, cutting, or change of case or width', async () => {
    const password = '  Leading and trailing  '
    await assertExact(password, [password.trim(), password.trimEnd(), password.toLowerCase(), `${password} `])
    const long = `${'x'.repeat(99)}y`
    await assertExact(long, [long.slice(0, 72), long.slice(0, 99), `${long.slice(0, 99)}z`, `${long}y`])
    const wide = 'ｆｕｌｌ　ｗｉｄｔｈ ﬁve six'
    await assertExact(wide, [wide.normalize('NFKC')])
  })

  it('[V6.2.8] a NUL is a character like any other', async () => {
    const password = 'fifteen letters'
    await assertExact(password, [`${password}\0`, `${password}\0more`])
    await assertExact(`${password}\0more`, [password, `${password}\0`, `${password}\0most`])
  })

  it('what is no Unicode is refused', async () => {
    assert.equal(await assertRefused(`${'x'.repeat(20)}\ud800`), 'must be well-formed Unicode')
    assert.equal(await assertRefused(`\udc00${'x'.repeat(20)}`), 'must be well-formed Unicode')
  })

  it('an imported user signs in with a bcrypt password, and has an argon2id hash from then on', async () => {
    await insertBcryptUser(server(), 'veteran', 'short1')
    await assertWrong('veteran', 'short2')
    assert.match((await getUser(server(), 'veteran')).password_hash ?? '', /^\$2b\$04\$/)
    await server().login({ username: 'veteran', password: 'short1' })
    const rehashed = await getUser(server(), 'veteran')
    assert.match(rehashed.password_hash ?? '', /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    assert.equal(rehashed.bcrypt_cost, null)
    await server().login({ username: 'veteran', password: 'short1' })
    await assertWrong('veteran', 'short2')
  })

  it('[V11.2.2] an argon2id hash with weaker parameters is made anew at the next sign-in', async () => {
    const weaker = { algorithm: 2, memoryCost: 4096, timeCost: 1, parallelism: 1 }
    const password_hash = await argon2.hash('a password from before', weaker)
    await insertUser(server(), { username: 'elder', password_hash })
    for (let time = 0; time < 2; time++) {
      await server().login({ username: 'elder', password: 'a password from before' })
      const { password_hash: hash } = await getUser(server(), 'elder')
      assert.match(hash ?? '', /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    }
  })

  it('two first sign-ins of an imported user at once both succeed', async () => {
    await insertBcryptUser(server(), 'hasty', 'short1')
    const attempts = [1, 2, 3].map(() => server().login({ username: 'hasty', password: 'short1' }))
    assert.equal(new Set((await Promise.all(attempts)).map((pair) => pair.access_token)).size, 3)
  })

  it('[V6.2.8] bcrypt never cuts: 72 bytes match, more or a NUL do not', async () => {
    const longest = 'é'.repeat(36)
    await insertBcryptUser(server(), 'exact', longest)
    await assertWrong('exact', `${longest}x`)
    await assertWrong('exact', `${longest}\0`)
    await server().login({ username: 'exact', password: longest })

    await insertBcryptUser(server(), 'cut', `${longest}and more`)
    for (const password of [`${longest}and more`, longest, `${longest}and`]) {
      if (password !== longest) await assertWrong('cut', password)
    }
    await insertBcryptUser(server(), 'nul', 'short1')
    await assertWrong('nul', 'short1\0')
    await assertWrong('nul', 'short1\0short1\0')
  })
})

onSharedServer(
  'passwords with PASSWORD_MIN_LENGTH=8',
  (server) => {
    it('8 characters are enough, 7 are not', async () => {
      await server().register({ password: '8 chars!' })
      const json = { username: 'seven', email: 'seven@example.com', password: '7 chars' }
      const reply = await server().call('POST', `${API}/auth/register`, { json })
      assertProblem(reply, { status: 422, code: 'validation_failed', pointers: ['/password'] })
    })
  },
  { passwordMinLength: 8 },
)
