import assert from 'node:assert/strict'
import { it } from 'node:test'
import { API, onSharedServer } from '../kit.ts'
import { readProjectFile } from '../support/documents.ts'
import { assertProblem, assertTokenPair } from '../support/replies.ts'

const REFUSED = { status: 422, code: 'validation_failed', pointers: ['/password'] }
const REASON =
  /^is made of your username, your e-mail address or the name of this service, and little else; choose another: several words/

let people = 0

onSharedServer(
  'context words',
  (server) => {
    const register = (password: string, names: { username?: string; email?: string } = {}) => {
      people += 1
      const json = { username: `guest${people}x`, email: `visitor${people}@example.com`, ...names, password }
      return server().call('POST', `${API}/auth/register`, { json })
    }
    const assertRefused = async (password: string, names = {}) => {
      const reply = await register(password, names)
      assertProblem(reply, REFUSED)
      assert.match(reply.body.errors[0].detail, REASON, password)
    }
    const assertAccepted = async (password: string, names = {}) =>
      assertTokenPair(await register(password, names))

    it('a password of the names of the product and its roles is refused [V6.1.2, V6.2.11, NIST63B-blocklist]', async () => {
      const listed = /^Built in: (.*)\.$/m.exec(readProjectFile('docs/passwords.md'))?.[1]
      const words = [...(listed ?? '').matchAll(/`(\w+)`/g)].map(([, word = '']) => word)
      assert.deepEqual(words.sort(), ['admin', 'administrator', 'postern', 'superuser'])
      for (const word of words) {
        await assertRefused(`${word}${word}1234567`)
        await assertRefused(`${word.toUpperCase()}-${word}-${word}`)
      }
    })

    it('a password of PROJECT_NAME is refused, whole, in parts and run together [V6.2.11]', async () => {
      for (const password of [
        'Road Runner 123',
        'roadrunner12345',
        'RUNNER.road.2026',
        'road-road-road-road',
      ]) {
        await assertRefused(password)
      }
    })

    it('a password of PASSWORD_CONTEXT_WORDS is refused [V6.1.2, V6.2.11]', async () => {
      for (const password of [
        'acmeacme!acmeacme',
        'ＡＣＭＥ-2026-acme7',
        'desert-canyon-7',
        'DesertCanyon2026',
      ]) {
        await assertRefused(password)
      }
    })

    it('a password of the username or the local part of the address is refused [V6.2.11, NIST63B-blocklist]', async () => {
      const names = { username: 'Ada.Lovelace', email: 'countess.of.numbers+auth@example.com' }
      for (const password of [
        'ada.lovelace123',
        'ADALOVELACE2026',
        'lovelacelovelace',
        'countess1234567',
        'numbers-countess',
        'countess.of.numbers+auth',
        'lovelace&countess',
      ]) {
        await assertRefused(password, names)
      }
    })

    it('names of other scripts count as well', async () => {
      await assertRefused('ЖЕЛЕЗНЯК1234567', { username: 'железняк' })
      await assertRefused('STRASSENBAHN-123', { username: 'Straßenbahn' })
    })

    it('a password with a known word in it is accepted when 8 characters remain', async () => {
      await assertRefused('test1234567test', { email: 'test@example.com' })
      await assertAccepted('testpassword123', { email: 'test@example.com' })
      await assertRefused('runner123456runner7')
      await assertAccepted('runner123456runner78')
      await assertRefused(`posternpostern${'😀'.repeat(7)}`)
      await assertAccepted(`posternpostern${'😀'.repeat(8)}`)
    })

    it('words of fewer than 4 characters and the domain of the address do not count', async () => {
      await assertAccepted('bobbobbobbobbob', { username: 'bob' })
      await assertAccepted('example.example.com', { email: 'carol@example.com' })
      await assertAccepted('ada.ada.ada.ada', { username: 'ada' })
    })

    it('what means something in a pattern is a character like any other', async () => {
      await assertAccepted('completely unrelated', { username: '....a....' })
      await assertRefused('a.+b?c=d|e{2}^f 123', { email: 'a.+b?c=d|e{2}^f@example.com' })
      await assertAccepted('abcdefghijklmno', { email: 'a.+b?c=d|g@example.com' })
    })

    it('a change of password knows the names as they are, and as they are from now on [V6.2.11]', async () => {
      const person = await server().register({ username: 'wilhelmina', email: 'carlotta@example.com' })
      const { access_token: token } = person.tokens
      const change = (changes: Record<string, string>) => {
        const json = { current_password: person.password, ...changes }
        return server().call('PATCH', `${API}/users/me`, { json, token })
      }
      for (const password of ['wilhelmina12345', 'carlotta1234567']) {
        assertProblem(await change({ password }), REFUSED)
      }
      const names = { username: 'bartholomew', email: 'desdemona@example.com' }
      for (const password of ['bartholomew1234', 'desdemona123456']) {
        assertProblem(await change({ ...names, password }), REFUSED)
      }
      const changed = await change({ ...names, password: 'wilhelmina12345' })
      assert.deepEqual([changed.status, changed.body.username], [200, 'bartholomew'])
      await server().login({ username: 'bartholomew', password: 'wilhelmina12345' })
    })
  },
  { projectName: 'Road Runner', passwordContextWords: ['acme', 'Desert Canyon'] },
)

onSharedServer(
  'context words with PASSWORD_MIN_LENGTH=8',
  (server) => {
    it('a short password without a known word in it is accepted', async () => {
      await server().register({ username: 'short', password: 'k7#vQ2!z' })
    })
  },
  { passwordMinLength: 8 },
)
