import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import axe from 'axe-core'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { createCaller } from '../../src/core/caller.ts'
import { renderPage } from '../../src/features/email/render-page.ts'
import { SAMPLE_PAGES } from '../../src/features/email/samples.ts'
import { keepRegistration } from '../../src/features/registrations/keep-registration.ts'
import { API, PASSWORD, startServer, type TestServer } from '../kit.ts'
import { launchBrowser, withoutBrowser } from '../support/browser.ts'
import { deliverOne, type Mailing, post, proofIn, startMailing } from '../support/mails.ts'
import { startMailServer, type TestMailServer } from '../support/smtp.ts'

const NEW_PASSWORD = 'another horse battery staple'
const LANGUAGES = ['en', 'de', 'ja', 'ar']

describe(`pages in Chromium${withoutBrowser ? ` (skipped: ${withoutBrowser})` : ''}`, {
  skip: withoutBrowser,
}, () => {
  let browser: Browser
  let mails: TestMailServer
  let mailing: Mailing
  let server: TestServer
  let origin: string
  before(async () => {
    browser = await launchBrowser()
    mails = await startMailServer()
    mailing = await startMailing((overrides) => startServer('sqlite', overrides), mails, {
      MAGIC_LINKS: 'true',
    })
    ;({ server } = mailing)
    origin = await server.app.listen({ host: '127.0.0.1', port: 0 })
  })
  after(async () => {
    await browser?.close()
    await server?.close()
    await mails?.close()
  })

  /** The link of the mail that comes next, at this server's port. */
  const nextLink = async () => proofIn(await deliverOne(mailing)).url.replace(/^https?:\/\/[^/]+/, origin)
  const visit = async (url: string, options: BrowserContextOptions = {}) => {
    const context = await browser.newContext(options)
    const page = await context.newPage()
    await page.goto(url)
    return page
  }
  /** Gets to the field for the password without a mouse. */
  const focusByKeyboard = async (page: Page) => {
    const isThere = () => page.locator('input[type=password]:focus').count()
    for (let time = 0; time < 5 && !(await isThere()); time += 1) await page.keyboard.press('Tab')
    assert.ok(await isThere(), 'the keyboard does not get there')
  }
  const violationsOf = async (page: Page): Promise<string[]> => {
    await page.evaluate(axe.source)
    const { violations } = await page.evaluate(() =>
      (globalThis as unknown as { axe: typeof axe }).axe.run({
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'],
      }),
    )
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`))
  }

  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? 'with JavaScript' : 'without JavaScript'

    it(`${how}: an address is verified by a click`, async () => {
      const { tokens } = await server.register()
      const page = await visit(await nextLink(), { javaScriptEnabled })
      await page.getByRole('button').click()
      await page.waitForURL(/\/email\/verify$/)
      assert.equal(await page.getByRole('button').count(), 0)
      assert.equal((await server.me(tokens.access_token)).body.email_verified, true)
      await page.context().close()
    })

    it(`${how}: a registration is confirmed with its password, after one that is not it`, async () => {
      const username = `lovelace${javaScriptEnabled ? 1 : 2}`
      const person = { username, email: `${username}@example.com`, password: PASSWORD, locale: 'en' }
      const caller = createCaller('127.0.0.1', 'agent', 'request')
      await keepRegistration(server.context, person, { caller, admitMail: async () => {} })
      const page = await visit(await nextLink(), { javaScriptEnabled })
      await page.getByLabel('Password').fill('certainly another one')
      await page.getByRole('button').click()
      await page.getByRole('alert').waitFor()
      await page.getByLabel('Password').fill(PASSWORD)
      await page.getByRole('button').click()
      await page.getByRole('alert').waitFor({ state: 'detached' })
      await server.login(person)
      await mailing.deliver()
      await page.context().close()
    })

    it(`${how}: a new address is confirmed with the password of the account, after one that is not it`, async () => {
      const { tokens, username } = await server.register()
      await mailing.deliver()
      const email = `${username}@example.org`
      const json = { email, current_password: PASSWORD }
      await server.call('PATCH', `${API}/users/me`, { json, token: tokens.access_token })
      const page = await visit(await nextLink(), { javaScriptEnabled })
      await page.getByLabel('Password').fill('certainly another one')
      await page.getByRole('button').click()
      await page.getByRole('alert').waitFor()
      assert.notEqual((await server.me(tokens.access_token)).body.email, email)
      await page.getByLabel('Password').fill(PASSWORD)
      await page.getByRole('button').click()
      await page.getByRole('alert').waitFor({ state: 'detached' })
      assert.equal((await server.me(tokens.access_token)).body.email, email)
      await mailing.deliver()
      await page.context().close()
    })

    it(`${how}: a password is set with the keyboard alone, after one that was refused`, async () => {
      const { email, username } = await server.register()
      await mailing.deliver()
      await post(server, '/auth/forgot-password', { email })
      const page = await visit(await nextLink(), { javaScriptEnabled })
      const type = async (password: string) => {
        await focusByKeyboard(page)
        await page.keyboard.type(password)
        await page.keyboard.press('Enter')
        await page.waitForLoadState()
      }
      await type('passwordpassword')
      await page.getByRole('alert').waitFor()
      await type(NEW_PASSWORD)
      await page.getByRole('alert').waitFor({ state: 'detached' })
      assert.equal(await page.locator('input[type=password]').count(), 0)
      await server.login({ username, password: NEW_PASSWORD })
      await mailing.deliver()
      await page.context().close()
    })
  }

  it('a password is not shown, and may be pasted and filled in by a manager', async () => {
    const { email } = await server.register()
    await mailing.deliver()
    await post(server, '/auth/forgot-password', { email })
    const page = await visit(await nextLink())
    const field = page.locator('input[name=new_password]')
    assert.deepEqual(
      [
        await field.getAttribute('type'),
        await field.getAttribute('autocomplete'),
        await field.getAttribute('onpaste'),
      ],
      ['password', 'new-password', null],
    )
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.evaluate(`navigator.clipboard.writeText('${NEW_PASSWORD}')`)
    await field.focus()
    await page.keyboard.press('Control+V')
    assert.equal(await field.inputValue(), NEW_PASSWORD)
    await page.context().close()
  })

  it('a page asks for nothing from anywhere, keeps nothing, and its policy is broken by nothing in it', async () => {
    await server.register()
    const context = await browser.newContext()
    const page = await context.newPage()
    const requests: string[] = []
    const messages: string[] = []
    page.on('request', (request) => requests.push(request.url()))
    page.on('console', (message) => messages.push(message.text()))
    const link = await nextLink()
    await page.goto(link)
    assert.deepEqual(requests, [link])
    assert.deepEqual(messages, [])
    assert.deepEqual(await context.cookies(), [])
    await context.close()
  })

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`no page breaks a rule of axe, in any language, ${colorScheme}, nor is wider than a small screen`, async () => {
      const context = await browser.newContext({ colorScheme, viewport: { width: 320, height: 568 } })
      const page = await context.newPage()
      for (const locale of LANGUAGES) {
        for (const [name, sample] of Object.entries(SAMPLE_PAGES)) {
          await page.setContent(renderPage(server.context.templates, sample, locale))
          assert.deepEqual(await violationsOf(page), [], `${name} in ${locale}`)
          const width = Number(await page.evaluate('document.documentElement.scrollWidth'))
          assert.ok(width <= 320, `${name} in ${locale}: ${width}`)
        }
      }
      await context.close()
    })
  }
})
