import assert from 'node:assert/strict'
import { it } from 'node:test'
import { usernameKey } from '../../src/features/users/names.ts'
import { API, onSharedServer, PASSWORD } from '../kit.ts'
import { getUser } from '../support/people.ts'
import { assertProblem, assertTokenPair } from '../support/replies.ts'
import { scale } from '../support/scale.ts'

const REGISTER = `${API}/auth/register`
/** The same spelling twice, in two normal forms. */
const [COMPOSED, DECOMPOSED] = ['zo\u00eb', 'zoe\u0308']
/** The planes that have letters, or all. */
const CHARACTERS = scale(0x30000, 0x110000)

let addresses = 0
const freshEmail = () => {
  addresses += 1
  return `address${addresses}@example.com`
}

onSharedServer('usernames', (server) => {
  const register = (username: string) =>
    server().call('POST', REGISTER, { json: { username, email: freshEmail(), password: PASSWORD } })
  const assertRefused = async (username: string) => {
    const reply = await register(username)
    assertProblem(reply, { status: 422, code: 'validation_failed', pointers: ['/username'] })
  }
  const assertTaken = async (username: string) => {
    const reply = await register(username)
    assert.deepEqual([reply.status, reply.body.code], [400, 'username_taken'], JSON.stringify(username))
  }

  it('letters, digits and ._- of any script are taken', async () => {
    for (const name of [
      'a.b_c-d',
      '_bob',
      '-.7',
      '007',
      'Владимир',
      'Ελένη',
      '太郎さん',
      'محمد',
      'हिन्दी',
      'ไทยแลนด์',
      '٠١٢٣',
      '𝓍𝓎𝓏',
    ]) {
      assertTokenPair(await register(name))
    }
  })

  it('3 to 50 characters, counted in code points after NFKC', async () => {
    for (const name of ['abc', 'x'.repeat(50), '𐐀𐐁𐐂', '𐐀'.repeat(50), 'ﬃ']) {
      assertTokenPair(await register(name))
    }
    for (const name of ['', 'ab', '𐐀𐐁', 'y'.repeat(51), '𐐁'.repeat(51), 'ﬃ'.repeat(17), 'e\u0301e\u0301']) {
      await assertRefused(name)
    }
  })

  it('white space, signs, emoji and what does not show are refused', async () => {
    for (const name of [
      'a b c',
      '...',
      '_-_-',
      ' abc',
      'abc ',
      'abc\n',
      'abc\t',
      'abc\0',
      'a/b/c',
      "o'hara",
      '<b>x</b>',
      'abc😀',
      'a\u200bbc',
      'a\u200dbc',
      'abc\u202e',
      'a\u00adbc',
      'abc\ufe0f',
      '\ufeffabc',
      'a\u3164bc',
      'a\u034fbc',
      'a\u180ebc',
      '\u0301abc',
      'abc½',
      'abc\ud800',
    ]) {
      await assertRefused(name)
    }
  })

  it('the shape of an e-mail address is refused, also where it appears by normalisation', async () => {
    for (const name of ['ada@example.com', 'a@b', '@ada', 'ada＠example.com', 'ada﹫example']) {
      await assertRefused(name)
    }
  })

  it('a name is kept in NFKC, and found in any other form', async () => {
    assertTokenPair(await register(DECOMPOSED))
    assert.equal((await getUser(server(), COMPOSED)).username, COMPOSED)
    await assertTaken(COMPOSED)
    await server().login({ username: DECOMPOSED, password: PASSWORD })
    assertTokenPair(await register('Ｆｕｌｌ①'))
    assert.equal((await getUser(server(), 'Full1')).username, 'Full1')
    await server().login({ username: 'full1', password: PASSWORD })
  })

  it('case makes no difference: ß, ẞ, final sigma, Kelvin sign, ligatures, dotted and dotless i', async () => {
    for (const [name, ...others] of [
      ['straße', 'STRASSE', 'Strasse', 'STRAẞE', 'straẞe'],
      ['ΟΔΥΣΣΕΥΣ', 'οδυσσευς', 'οδυσσευσ'],
      ['kelvin', 'KELVIN', '\u212aelvin'],
      ['ﬁnch', 'FINCH', 'finch'],
      ['ıowa', 'IOWA', 'iowa'],
      ['İzmir', 'i̇zmir', 'I\u0307ZMIR'],
      ['ǅin', 'ǆin', 'ǄIN', 'džin'],
      ['ſami', 'SAMI'],
    ] as const) {
      assertTokenPair(await register(name))
      for (const other of others) await assertTaken(other)
      await server().login({ username: others[others.length - 1] ?? name, password: PASSWORD })
    }
    assertTokenPair(await register('izmir'))
  })
})

onSharedServer('e-mail addresses', (server) => {
  const register = (email: string) => {
    addresses += 1
    const json = { username: `mail${addresses}`, email, password: PASSWORD }
    return server().call('POST', REGISTER, { json })
  }

  it('are kept as typed', async () => {
    for (const email of [
      'plain@example.com',
      'First.Last+tag@Sub.Example.COM',
      "o'hara@example.co.uk",
      'ünïcode@example.com',
      'idn@bücher.example',
    ]) {
      const reply = await register(email)
      assertTokenPair(reply)
      assert.equal((await server().me(reply.body.access_token)).body.email, email)
    }
  })

  it('may have 254 characters, and no more', async () => {
    const domain = `${'d'.repeat(63)}.${'e'.repeat(63)}.${'f'.repeat(57)}.com`
    const longest = `${'x'.repeat(64)}@${domain}`
    assert.equal(longest.length, 254)
    assertTokenPair(await register(longest))
    const longer = longest.replace('.com', 'g.com')
    const refused = { status: 422, code: 'validation_failed', pointers: ['/email'] }
    assertProblem(await register(longer), refused)
  })

  it('[V1.3.11] what is none is refused', async () => {
    for (const email of [
      '',
      'none',
      '@example.com',
      'a@',
      'a@localhost',
      'a b@example.com',
      'a@exa mple.com',
      'a@example.com, b@example.com',
      'Ada <ada@example.com>',
      'a@example.com\r\nBcc: b@example.com',
      'a@example.com\0',
      'a..b@example.com',
      '.a@example.com',
      'a@-example.com',
      'a@[127.0.0.1]',
      'a@example.com\ud800',
      `${'x'.repeat(65)}@example.com`,
      'mailto:a@example.com',
    ]) {
      const reply = await register(email)
      assertProblem(reply, { status: 422, code: 'validation_failed', pointers: ['/email'] })
    }
  })

  it('case, normal form and the spelling of the domain make no difference', async () => {
    for (const [email, ...others] of [
      ['case@example.com', 'CASE@EXAMPLE.COM', 'Case@Example.Com'],
      ['straße@example.com', 'STRASSE@example.com', 'straẞe@example.com'],
      ['zo\u00eb@example.com', 'zoe\u0308@example.com', 'ZO\u00cb@example.com'],
      ['puny@bücher.example', 'puny@xn--bcher-kva.example', 'PUNY@BÜCHER.example'],
      ['kelvin@example.com', '\u212aelvin@example.com'],
    ] as const) {
      assertTokenPair(await register(email))
      for (const other of others) {
        const reply = await register(other)
        assert.deepEqual([reply.status, reply.body.code], [400, 'email_taken'], JSON.stringify(other))
        await server().login({ username: other, password: PASSWORD })
      }
    }
  })

  it('are told from another where case is not all that differs', async () => {
    for (const email of [
      'dots@example.com',
      'd.ots@example.com',
      'dots+tag@example.com',
      'dots@example.org',
    ]) {
      assertTokenPair(await register(email))
    }
  })
})

it('the key of a name is the same for every case of every character, and the key of itself', () => {
  for (let code = 0; code < CHARACTERS; code++) {
    const character = String.fromCodePoint(code)
    const forms = [character, character.toUpperCase(), character.toLowerCase(), character.normalize('NFKC')]
    if (new Set(forms).size === 1) continue
    const keys = forms.slice(0, 3).map((form) => usernameKey(`ab${form}cd`))
    keys.push(usernameKey(keys[0] ?? ''))
    assert.equal(new Set(keys).size, 1, `U+${code.toString(16)}`)
  }
})
