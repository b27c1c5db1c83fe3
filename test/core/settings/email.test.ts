import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorOf, linesOf, POSTGRES, settingsOf } from './cases.ts'

const kindOf = (env: Record<string, string>) => settingsOf(env).email.transport.kind

test('settings: mails are shown to developers on their own machine alone, sent with SMTP_URL, and else nowhere', () => {
  assert.equal(kindOf({}), 'mailbox')
  for (const host of ['::1', 'localhost', '127.0.0.2']) assert.equal(kindOf({ HOST: host }), 'mailbox')
  assert.equal(kindOf({ PUBLIC_URL: 'http://localhost:3000/auth' }), 'mailbox')
  for (const env of [
    { HOST: '0.0.0.0' },
    { DATABASE_URL: POSTGRES },
    { PUBLIC_URL: 'https://auth.example.com' },
    { TRUSTED_PROXIES: '1' },
    { TRUSTED_PROXIES: '127.0.0.1' },
  ]) {
    assert.equal(kindOf(env), 'none', JSON.stringify(env))
    assert.equal(kindOf({ ...env, SMTP_URL: 'smtp://mail.example.com' }), 'smtp')
  }
})

test('settings: what needs mails is refused where none leave', () => {
  for (const name of ['REQUIRE_EMAIL_VERIFICATION', 'MAGIC_LINKS']) {
    const [line = ''] = linesOf(errorOf({ HOST: '0.0.0.0', [name]: 'true' }))
    assert.match(line, new RegExp(`^ {2}SMTP_URL: it is not set, and ${name} needs it; expected smtp://`))
    assert.equal(kindOf({ [name]: 'true' }), 'mailbox')
  }
})

test('settings: SMTP_URL is a server and nothing more, and is never shown', () => {
  for (const right of [
    'smtp://mail.example.com',
    'smtps://ada:pass%40word@mail.example.com:465',
    'smtp://[::1]:25/',
  ]) {
    assert.equal(kindOf({ SMTP_URL: right }), 'smtp')
  }
  for (const wrong of [
    'mail.example.com',
    'http://ada:pa55word@mail',
    'smtp://',
    'smtp://pa55word@mail/path',
    'smtp://pa55word@mail?x=1',
    'smtp://a b',
  ]) {
    const message = errorOf({ SMTP_URL: wrong })
    assert.match(message, /^ {2}SMTP_URL: /m)
    assert.ok(!message.includes('pa55word'), message)
  }
})

test('settings: EMAIL_FROM is one address, with a name or without', () => {
  const from = (text: string) => settingsOf({ EMAIL_FROM: text }).email.from
  assert.deepEqual(from('a@b.example'), { name: '', address: 'a@b.example' })
  assert.deepEqual(from('Ada & Co. <a@b.example>'), { name: 'Ada & Co.', address: 'a@b.example' })
  assert.deepEqual(
    settingsOf({ PUBLIC_URL: 'https://auth.example.com', PROJECT_NAME: 'A "B" <C>' }).email.from,
    { name: 'A B C', address: 'no-reply@auth.example.com' },
  )
  for (const wrong of ['nobody', 'a@b, c@d', 'Ada <a@b', '<a@b> x', 'a@b\r\nBcc: c@d', 'a b@c']) {
    assert.match(errorOf({ EMAIL_FROM: wrong }), /^ {2}EMAIL_FROM: /m, wrong)
  }
})

test('settings: a page of the application may have any host', () => {
  const linkUrl = 'https://tokens.example.com/reset'
  assert.equal(settingsOf({ EMAIL_LINK_URL_RESET: linkUrl }).email.linkUrls.reset, `${linkUrl}?token={token}`)
  assert.match(errorOf({ EMAIL_LINK_URL_RESET: 'https://{token}.example.com/' }), /EMAIL_LINK_URL_RESET/)
})

test('settings: EMAIL_NOTICES names notices, or none', () => {
  const notices = (text: string) => settingsOf({ EMAIL_NOTICES: text }).email.notices
  assert.deepEqual(notices('none'), [])
  assert.deepEqual(notices(' new_sign_in, password_changed,new_sign_in '), [
    'new_sign_in',
    'password_changed',
  ])
  assert.match(
    errorOf({ EMAIL_NOTICES: 'new_sign_in,birthday' }),
    /EMAIL_NOTICES: 'birthday' is no notice; expected some of/,
  )
})

test('settings: links lead to https pages, or http ones on this machine, with the token where it belongs', () => {
  const link = (text: string) => settingsOf({ EMAIL_LINK_URL_RESET: text }).email.linkUrls.reset
  assert.equal(link('https://app.example.com/reset'), 'https://app.example.com/reset?token={token}')
  assert.equal(link('https://app.example.com/reset?a=b'), 'https://app.example.com/reset?a=b&token={token}')
  assert.equal(link('http://localhost:3000/#/reset/{token}'), 'http://localhost:3000/#/reset/{token}')
  for (const wrong of [
    'http://app.example.com/',
    'app.example.com',
    'https://{token}.example.com/',
    'https://a:b@app.example.com/',
    'https://app.example.com/#x',
    'javascript:alert({token})',
  ]) {
    assert.match(errorOf({ EMAIL_LINK_URL_RESET: wrong }), /^ {2}EMAIL_LINK_URL_RESET: /m, wrong)
  }
})
