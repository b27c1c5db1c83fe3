import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { generateSecretKey } from '../../../src/core/settings/secret-key.ts'
import { loadSettings } from '../../../src/core/settings.ts'
import { errorOf, linesOf, OTHER_SECRET, POSTGRES, SECRET, settingsOf, temporaryDirectory } from './cases.ts'

const TUTORIAL_SECRET = '09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7'

test('settings: weak secrets are refused in either variable, and never shown', () => {
  const weak = [
    'short',
    'a'.repeat(64),
    '0123456789abcdefghijklmnopqrstu',
    'abcdefghijklmno'.repeat(3),
    'ababc'.repeat(8),
    '123456789'.repeat(5),
  ]
  for (const secret of [...weak, ` ${SECRET}`, `${SECRET}\n`, `${SECRET}\r`]) {
    const message = errorOf({ SECRET_KEY: secret, SECRET_KEY_PREVIOUS: secret })
    assert.match(message, /^ {2}SECRET_KEY: .*postern secret generate/m)
    assert.match(message, /^ {2}SECRET_KEY_PREVIOUS: /m)
    assert.ok(!message.includes(secret), message)
  }
})

test('settings: what is random enough is accepted', () => {
  for (const secret of [
    SECRET,
    randomBytes(32).toString('hex'),
    `${'é'.repeat(6)}abcdefghijklmnopqrst`,
    generateSecretKey(),
  ]) {
    assert.equal(settingsOf({ SECRET_KEY: secret }).secretKey, secret)
  }
})

test('settings: a known placeholder is refused as SECRET_KEY and accepted as SECRET_KEY_PREVIOUS', () => {
  const words = [
    'CHANGE-ME',
    'changeme',
    'change-this',
    'Change_This',
    'your-secret',
    'your_secret',
    'your-super-secret',
  ]
  const placeholders = [...words, 'placeholder', 'example-secret', 'secret-key-here'].map(
    (word) => `${word}-0123456789-abcdefghijkl`,
  )
  for (const placeholder of [...placeholders, TUTORIAL_SECRET, TUTORIAL_SECRET.toUpperCase()]) {
    const message = errorOf({ SECRET_KEY: placeholder })
    assert.match(
      message,
      /SECRET_KEY: the value is a well-known placeholder; expected .*postern secret generate/,
    )
    assert.ok(!message.includes(placeholder))
    assert.equal(settingsOf({ SECRET_KEY_PREVIOUS: placeholder }).secretKeyPrevious, placeholder)
  }
})

test('settings: SECRET_KEY_PREVIOUS must differ from SECRET_KEY', () => {
  assert.match(
    errorOf({ SECRET_KEY: SECRET, SECRET_KEY_PREVIOUS: SECRET }),
    /SECRET_KEY_PREVIOUS: it is the same as SECRET_KEY/,
  )
})

test('settings: PostgreSQL needs a SECRET_KEY', () => {
  const message = errorOf({ DATABASE_URL: POSTGRES })
  assert.match(message, /SECRET_KEY: it is not set, .*postern secret generate/)
  assert.ok(!message.includes('pa55word'))
})

test('settings: a secret may come from a file, less one newline at its end', (t) => {
  const directory = temporaryDirectory(t)
  writeFileSync(join(directory, 'key'), `${SECRET}\n`)
  writeFileSync(join(directory, 'previous'), `\ufeff${OTHER_SECRET}\r\n`)
  writeFileSync(join(directory, 'url'), POSTGRES)
  const { settings } = loadSettings({
    env: {
      SECRET_KEY_FILE: 'key',
      SECRET_KEY_PREVIOUS_FILE: join(directory, 'previous'),
      DATABASE_URL_FILE: './url',
    },
    directory,
  })
  assert.equal(settings.secretKey, SECRET)
  assert.equal(settings.secretKeyPrevious, OTHER_SECRET)
  assert.ok(settings.database.kind === 'postgres' && settings.database.url === POSTGRES)
})

test('settings: a secret file that cannot be used is one line that names the variable and shows nothing', (t) => {
  const directory = temporaryDirectory(t)
  writeFileSync(join(directory, 'empty'), '\n')
  writeFileSync(join(directory, 'binary'), Buffer.from([0xff, 0xfe, 0x80, 0x81]))
  writeFileSync(join(directory, 'newlines'), `${SECRET}\n\n`)
  const reasons = {
    empty: 'is empty',
    binary: 'not UTF-8',
    newlines: 'white space',
    '.': 'EISDIR',
    [SECRET]: 'ENOENT',
  }
  for (const [file, reason] of Object.entries(reasons)) {
    const message = errorOf({ SECRET_KEY_FILE: file, DATABASE_URL: POSTGRES }, directory)
    assert.equal(linesOf(message).length, 1)
    assert.match(message, new RegExp(`^  SECRET_KEY_FILE: .*${reason}.*; expected `, 'm'))
    assert.ok(!message.includes(SECRET))
  }
})

test('settings: a secret given in both forms is an error', (t) => {
  const directory = temporaryDirectory(t)
  writeFileSync(join(directory, 'key'), SECRET)
  for (const name of ['SECRET_KEY', 'SECRET_KEY_PREVIOUS', 'DATABASE_URL']) {
    const message = errorOf({ [name]: SECRET, [`${name}_FILE`]: 'key' }, directory)
    assert.match(message, new RegExp(`^  ${name}: ${name}_FILE is set too`, 'm'))
    assert.ok(!message.includes(SECRET))
  }
})

test('settings: what is no secret has no form with a file', () => {
  assert.equal(settingsOf({ PORT_FILE: 'missing' }).port, 8000)
})
