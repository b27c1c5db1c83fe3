import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorOf, linesOf, SECRET, settingsOf } from './cases.ts'

test('settings: SQLAlchemy forms of an SQLite URL name the same file', () => {
  const fileOf = (url: string) => {
    const { database } = settingsOf({ DATABASE_URL: url })
    assert.ok(database.kind === 'sqlite')
    return database.file
  }
  for (const url of [
    'sqlite:///./app.db',
    'sqlite:///app.db',
    'sqlite+aiosqlite:///./app.db',
    'SQLite:///app.db',
  ]) {
    assert.equal(fileOf(url), '/nowhere/app.db')
  }
  assert.equal(fileOf('sqlite:////var/lib/app.db'), '/var/lib/app.db')
  assert.equal(fileOf('sqlite+pysqlite:////var/my app.db'), '/var/my app.db')
  assert.equal(fileOf('sqlite:///../app.db'), '/app.db')
})

test('settings: an SQLite database in memory is refused with the reason', () => {
  const inMemory = [
    'sqlite://',
    'sqlite:///',
    'sqlite:///:memory:',
    'sqlite://:memory:',
    'sqlite+aiosqlite://',
  ]
  for (const url of [...inMemory, 'sqlite:///file:a?mode=memory&uri=true', 'sqlite:///a?mode=memory']) {
    assert.match(
      errorOf({ DATABASE_URL: url }),
      /DATABASE_URL: a database in memory cannot be used: the two connections/,
    )
  }
})

test('settings: PostgreSQL URLs lose their driver suffix and nothing else', () => {
  const rest = 'u:p%40%2F@db.example:5433/auth?sslmode=require'
  for (const scheme of [
    'postgresql',
    'postgres',
    'postgresql+psycopg2',
    'postgresql+asyncpg',
    'postgres+psycopg',
  ]) {
    const { database } = settingsOf({
      DATABASE_URL: `${scheme}://${rest}`,
      DATABASE_PREPARED_STATEMENTS: 'False',
    })
    assert.deepEqual(database, {
      kind: 'postgres',
      url: `postgresql://${rest}`,
      poolSize: 10,
      preparedStatements: false,
    })
  }
  const socket = settingsOf({
    DATABASE_URL: 'postgresql:///auth?host=/run/postgresql',
    DATABASE_POOL_SIZE: '200',
  })
  assert.deepEqual(socket.database, {
    kind: 'postgres',
    url: 'postgresql:///auth?host=/run/postgresql',
    poolSize: 200,
    preparedStatements: true,
  })
})

test('settings: the variables of the pool have limits too', () => {
  const message = errorOf({ DATABASE_POOL_SIZE: '201', DATABASE_PREPARED_STATEMENTS: 'maybe' })
  assert.deepEqual(linesOf(message), [
    "  DATABASE_POOL_SIZE: '201' is not valid; expected a whole number from 1 to 200",
    "  DATABASE_PREPARED_STATEMENTS: 'maybe' is not valid; expected true or false",
  ])
  assert.match(errorOf({ DATABASE_POOL_SIZE: '0' }), /DATABASE_POOL_SIZE/)
})

test('settings: a bad DATABASE_URL is explained without showing it', () => {
  const wrong = {
    './pa55word.db': 'not a database URL',
    'mysql://u:pa55word@h/d': 'databases of the kind mysql are not supported',
    'sqlite://pa55word/app.db': 'three slashes',
    'sqlite:///pa55word/': 'ends in a slash',
    'sqlite:///pa55word.db?cache=shared': 'options after \\?',
    'sqlite:///pa55word\u0000.db': 'control characters',
    'postgresql://u:pa55word/x@h/d': 'percent-encoded',
    'postgresql://u:pa55word @h/d': 'percent-encoded',
    'postgresql://u@h/d#pa55word': 'fragment',
    'postgresql://u:pa55word@h1,h2/d': 'several hosts',
    'postgresql:///pa55word': 'no host',
    'postgresql://u:pa55word@h/': 'no database',
    'postgresql://u:pa55word@h': 'no database',
  }
  for (const [url, reason] of Object.entries(wrong)) {
    const message = errorOf({ DATABASE_URL: url, SECRET_KEY: SECRET })
    assert.match(message, new RegExp(`^  DATABASE_URL: .*${reason}.*; expected sqlite:///`, 'm'))
    assert.ok(!message.includes('pa55word'), message)
  }
})
