import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { before, describe, it } from 'node:test'
import fc from 'fast-check'
import { luminance, textColorOn } from '../../src/features/email/brand.ts'
import type { Mail, MailKind } from '../../src/features/email/mails.ts'
import { hashStyle } from '../../src/features/email/page-style.ts'
import type { Page } from '../../src/features/email/pages.ts'
import { type RenderedMail, renderMail } from '../../src/features/email/render-mail.ts'
import { renderPage } from '../../src/features/email/render-page.ts'
import { MAIL_KINDS, SAMPLE_PAGES, sampleMail } from '../../src/features/email/samples.ts'
import { loadTemplates, type Templates } from '../../src/features/email/templates.ts'
import { findDevice } from '../../src/features/email/user-agents.ts'
import { findUnbalanced, NOW, tagsOf, templateSettings } from '../support/templates.ts'

const CHROME_ON_MAC =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36'

/** What breaks out of HTML, a line or a direction, or becomes a link. */
const HOSTILE = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' style='display:none",
  '&lt;b&gt;&amp;',
  '{{ 7 | times: 6 }}{% if x %}',
  '{name, plural, other {#}} {project}',
  'ada\r\nBcc: eve@evil.example',
  'ada\n\nPlease go to https://evil.example/login',
  'www.evil.example',
  'https://evil.example/a',
  'evil.example',
  'http://evil\u3002example',
  'h\0ttps:/\0/evil.example/',
  '\u202Eecnuob\u202C \u2066x\u2069 \u2068y \u200Fz',
  '\u2069\u2069\u2069',
  'عبد الله',
  '\0\x1b[31m\x7f\u0085\u2028\u2029\ufeff\u{e0041}\ud800',
  'a'.repeat(100_000),
]
const hostileText = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.tuple(fc.constantFrom(...HOSTILE), fc.string({ maxLength: 10 })).map((parts) => parts.join('')),
)

/** Matches what mail clients make links of. */
const LINKS = /https?:\/\/[^\s<"]+|www\.[^\s<"]+|[\w-]+[.\u3002\uFF0E\uFF61]example\b/g

type Harm = { kind: MailKind; locale: string; text: string }

function harm(mail: Mail, text: string): Mail {
  const harmed = Object.fromEntries(['ip', 'userAgent', 'newEmail'].map((name) => [name, text]))
  const given = Object.entries(mail.data).map(([name, value]) => [name, harmed[name] ?? value])
  return { ...mail, username: text, data: Object.fromEntries(given) } as Mail
}

describe('mails', () => {
  const settings = templateSettings()
  let templates: Templates
  before(async () => {
    templates = await loadTemplates(settings)
  })
  const render = (kind: MailKind, locale: string): RenderedMail =>
    renderMail(templates, sampleMail(kind, settings, NOW), locale, NOW)

  for (const kind of MAIL_KINDS) {
    it(`${kind}: complete in every language, as text and as HTML, far below what Gmail cuts off`, () => {
      for (const locale of templates.locales) {
        const { data } = sampleMail(kind, settings, NOW)
        const { subject, text, html, locale: used } = render(kind, locale)
        assert.equal(used, locale)
        assert.match(subject, /Garden Gate/)
        assert.match(
          html,
          new RegExp(`^<!doctype html>\n<html lang="${locale}" dir="${locale === 'ar' ? 'rtl' : 'ltr'}">`),
        )
        assert.equal(findUnbalanced(html), undefined)
        assert.ok(Buffer.byteLength(html) < 20_000, `${Buffer.byteLength(html)} bytes`)
        for (const part of [subject, text, html.replace(/<style>.*<\/style>/s, '')]) {
          assert.doesNotMatch(part, /undefined|null|NaN|\[object|[{}]/)
        }
        if ('url' in data) {
          assert.ok(text.split('\n').includes(data.url), text)
          assert.equal(html.split(`href="${data.url}"`).length, 3)
        }
        if ('code' in data) {
          assert.match(text, /^482 913$/m)
          assert.match(html, />482<\/span><span [^>]*>913</)
        }
        if ('at' in data) {
          assert.match(text, /2026.*09:30.*UTC/)
          assert.match(text, /203\.0\.113\.7/)
        }
      }
    })
  }

  it('English, to read', () => {
    assert.equal(
      render('sign_in', 'en').text,
      `Sign in to Garden Gate

Hello ada,

Here is the link that signs you in. Please open it in the same browser in which you asked for it.

Time: January 31, 2026 at 09:30 UTC
Device: Firefox on Windows
IP address: 203.0.113.7

Sign in:
https://auth.example.com/email/sign-in?token=c2FtcGxlLXRva2VuLXRoYXQtb3BlbnMtbm90aGluZy4

Or type this code where you asked for this email:
482 913

The link and the code are valid for 10 minutes, and one of them works once.

If you did not ask for this, there is nothing to do: nobody can sign in without this email. Never pass the link or the code on, whoever asks for it.

You are getting this email because somebody entered your address at Garden Gate.
Garden Gate
`,
    )
  })

  it('times are in the words of the language', () => {
    for (const [locale, time] of [
      ['de', '31. Januar 2026 um 09:30 UTC'],
      ['ja', '2026年1月31日 09:30 UTC'],
      ['ar', '31 يناير 2026 في 09:30 UTC'],
    ] as const) {
      assert.ok(render('new_sign_in', locale).text.includes(time), render('new_sign_in', locale).text)
    }
  })

  it('a language that there is no longer is replaced by the closest, or by English', () => {
    const mail = sampleMail('sign_in', settings, NOW)
    assert.equal(renderMail(templates, mail, 'de-AT', NOW).locale, 'de')
    assert.equal(renderMail(templates, mail, 'fr', NOW).locale, 'en')
  })

  it('what strangers choose changes no tag of the HTML and no line of the text, and makes no link', () => {
    const anyMail = fc.record({
      kind: fc.constantFrom(...MAIL_KINDS),
      locale: fc.constantFrom(...templates.locales),
      text: hostileText,
    })
    fc.assert(
      fc.property(anyMail, ({ kind, locale, text }) => {
        const mail = sampleMail(kind, settings, NOW)
        const [plain, harmed] = [mail, harm(mail, text)].map((given) =>
          renderMail(templates, given, locale, NOW),
        )
        assert.ok(plain && harmed)
        assert.deepEqual(tagsOf(harmed.html), tagsOf(plain.html))
        assert.equal(findUnbalanced(harmed.html), undefined)
        assert.equal(harmed.text.split('\n').length, plain.text.split('\n').length)
        assert.equal(harmed.subject, plain.subject)
        for (const part of ['text', 'html'] as const) {
          assert.deepEqual(harmed[part].match(LINKS), plain[part].match(LINKS))
          assert.doesNotMatch(harmed[part], /(?!\n)\p{Cc}|[\p{Cs}\u202A-\u202E\u2066\u2067]/u)
        }
        assert.ok(Buffer.byteLength(harmed.html) < 20_000)
        assertIsolated(harmed.text)
      }),
      {
        numRuns: 300,
        examples: HOSTILE.map((text): [Harm] => [{ kind: 'email_changed', locale: 'en', text }]),
      },
    )
  })

  it('a name with dots is still itself once it is normalised', () => {
    const mail = { ...sampleMail('password_changed', settings, NOW), username: 'ada.lovelace' } as Mail
    const [, name = ''] = /Hello (.*),/.exec(renderMail(templates, mail, 'en', NOW).text) ?? []
    assert.notEqual(name, 'ada.lovelace')
    assert.equal(name.normalize('NFKC'), 'ada.lovelace')
  })

  it('names of the other direction are isolated, in HTML by bdi', () => {
    const mail = { ...sampleMail('password_changed', settings, NOW), username: 'عبد' } as Mail
    const english = renderMail(templates, mail, 'en', NOW)
    assert.match(english.text, /Hello \u2068عبد\u2069,/)
    assert.match(english.html, /Hello <bdi>عبد<\/bdi>,/)
    const { text, html } = render('password_changed', 'ar')
    assert.match(text, /\u2068ada\u2069/)
    assert.match(html, /<bdi>ada<\/bdi>/)
    assert.doesNotMatch(render('password_changed', 'en').text, /[^\n\x20-\x7e]/)
  })

  it('the name of the product is escaped, and on one line', async () => {
    const named = templateSettings({ PROJECT_NAME: '<b>"A" & \'B\'</b>\u202E' })
    const own = await loadTemplates(named)
    for (const kind of MAIL_KINDS) {
      const plain = render(kind, 'en')
      const { subject, html } = renderMail(own, sampleMail(kind, named, NOW), 'en', NOW)
      assert.deepEqual(tagsOf(html), tagsOf(plain.html))
      assert.match(subject, /<b>"A" & 'B'<\/b>(?!\u202E)/)
    }
  })

  it('a logo stands for the name, which is its text', async () => {
    const branded = templateSettings({
      BRAND_LOGO_URL: 'https://cdn.example.com/logo.png?a=1&b=2',
      BRAND_COLOR: '#ffd400',
    })
    const own = await loadTemplates(branded)
    const { html } = renderMail(own, sampleMail('sign_in', branded, NOW), 'en', NOW)
    assert.match(html, /<img src="https:\/\/cdn\.example\.com\/logo\.png\?a=1&amp;b=2" alt="Garden Gate"/)
    assert.match(html, /bgcolor="#ffd400"[^>]*>\s*<a [^>]*color:#000000/)
    assert.equal(own.imageOrigin, 'https://cdn.example.com')
    assert.equal(templates.imageOrigin, undefined)
  })

  it('the text of a button can be read on any colour (WCAG 2.2: 4.5 to 1)', () => {
    const color = fc.integer({ min: 0, max: 0xffffff }).map((n) => `#${n.toString(16).padStart(6, '0')}`)
    fc.assert(
      fc.property(color, (brand) => {
        const [light = 1, dark = 0] = [luminance(brand), luminance(textColorOn(brand))].sort((a, b) => b - a)
        assert.ok((light + 0.05) / (dark + 0.05) >= 4.5, brand)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('what a mail says of a device', () => {
  for (const [userAgent, program, system] of [
    [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0',
      'Firefox',
      'Windows',
    ],
    [CHROME_ON_MAC, 'Chrome', 'macOS'],
    [`${CHROME_ON_MAC} Edg/149.0.0.0`, 'Microsoft Edge', 'macOS'],
    [`${CHROME_ON_MAC} OPR/120.0.0.0`, 'Opera', 'macOS'],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1',
      'Safari',
      'iPhone',
    ],
    [
      'Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/149.0.0.0 Mobile/15E148 Safari/604.1',
      'Chrome',
      'iPad',
    ],
    [
      'Mozilla/5.0 (Linux; Android 15; SM-S931B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36',
      'Samsung Internet',
      'Android',
    ],
    [
      'Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/149.0.0.0 Safari/537.36',
      'Chrome',
      'ChromeOS',
    ],
    ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/149.0.0.0 Safari/537.36', 'Chrome', 'Linux'],
    ['GardenApp/3.1 (iPhone; iOS 18.5)', 'GardenApp', 'iPhone'],
    ['curl/8.14.1', 'curl', undefined],
    ['test-agent', 'test-agent', undefined],
    ['Mozilla/5.0', undefined, undefined],
    ['', undefined, undefined],
    ['www.evil.example', undefined, undefined],
    ['https://evil.example/', undefined, undefined],
    ['evil.example/1.0 Windows', undefined, 'Windows'],
    [`${'x'.repeat(41)}/1`, undefined, undefined],
  ] as const) {
    it(`${program ?? 'unknown'}, ${system ?? 'unknown'}: ${userAgent.slice(0, 60)}`, () => {
      assert.deepEqual(findDevice(userAgent), { program, system })
    })
  }
})

describe('pages', () => {
  const settings = templateSettings()
  let templates: Templates
  before(async () => {
    templates = await loadTemplates(settings)
  })

  for (const [name, page] of Object.entries(SAMPLE_PAGES)) {
    it(`${name}: in every language a page with one heading, no script, and the style that is announced`, () => {
      for (const locale of templates.locales) {
        const html = renderPage(templates, page, locale)
        assert.match(
          html,
          new RegExp(`^<!doctype html>\n<html lang="${locale}" dir="${locale === 'ar' ? 'rtl' : 'ltr'}">`),
        )
        assert.equal(findUnbalanced(html), undefined)
        for (const tag of ['<h1>', '<main>', '<title>', '<style>']) {
          assert.equal(html.split(tag).length, 2, `${tag} in ${html}`)
        }
        assert.equal(hashStyle(html), templates.pageStyleHash)
        assert.doesNotMatch(html, /<script|<link|\sstyle=|\son\w+=|https?:|undefined|null|NaN|\[object/)
        assert.doesNotMatch(html.replace(/<style>.*<\/style>/s, ''), /[{}]/)
      }
    })
  }

  it('a form posts the hidden fields, and has one button', () => {
    for (const kind of ['verify', 'undo', 'sign_in'] as const) {
      const page = { kind, action: '/auth/email?a=1&b=2', hidden: { token: 'abc', state: 'd&"e' } }
      const html = renderPage(templates, page, 'en')
      assert.match(html, /<form method="post" action="\/auth\/email\?a=1&amp;b=2">/)
      assert.match(html, /<input type="hidden" name="token" value="abc">/)
      assert.match(html, /<input type="hidden" name="state" value="d&amp;&quot;e">/)
      assert.equal(html.split('<button type="submit">').length, 2)
      assert.doesNotMatch(html, /type="password"/)
    }
  })

  it('reset: a field that password managers fill, with its label, and the rules beside it', () => {
    const html = renderPage(templates, SAMPLE_PAGES.reset, 'en')
    assert.match(html, /<label for="new_password">New password<\/label>/)
    assert.match(
      html,
      /<input type="password" id="new_password" name="new_password" autocomplete="new-password" minlength="15" required autofocus aria-describedby="hint">/,
    )
    assert.match(html, /id="hint">At least 15 characters\./)
    assert.doesNotMatch(html, /role="alert"|aria-invalid=|maxlength/)
  })

  it('reset: why a password is refused is an alert, and belongs to the field', () => {
    const html = renderPage(templates, { ...SAMPLE_PAGES.reset, refusals: ['common'] }, 'de')
    assert.match(html, /role="alert" id="refused">/)
    assert.match(html, /aria-describedby="refused hint" aria-invalid="true"/)
    assert.deepEqual(html.match(/<li>.*<\/li>/g), [
      '<li>Es gehört zu den Passwörtern, die Angreifer zuerst ausprobieren.</li>',
    ])
  })

  it('what comes from a request or a setting changes no tag', async () => {
    const form = (text: string): Page => ({
      kind: 'reset',
      action: text,
      hidden: { token: text, [text]: text },
      minLength: 15,
    })
    const plain = tagsOf(renderPage(templates, form('x'), 'en'))
    fc.assert(
      fc.property(hostileText, (text) => {
        assert.deepEqual(tagsOf(renderPage(templates, form(text), 'en')), plain)
      }),
      { numRuns: 200, examples: HOSTILE.map((text) => [text]) },
    )
    const named = await loadTemplates(templateSettings({ PROJECT_NAME: '</title><script>' }))
    assert.deepEqual(tagsOf(renderPage(named, form('x'), 'en')), plain)
  })

  it('the style holds the colour, and so does its hash', async () => {
    const other = await loadTemplates(templateSettings({ BRAND_COLOR: '#ffd400' }))
    const html = renderPage(other, { kind: 'verified' }, 'en')
    assert.match(html, /background: #ffd400; color: #000000;/)
    assert.equal(hashStyle(html), other.pageStyleHash)
    assert.notEqual(other.pageStyleHash, templates.pageStyleHash)
    assert.match(other.pageStyleHash, /^sha256-[\w+/]{43}=$/)
  })
})

describe('the start', () => {
  it('loads neither Liquid nor ICU before a mail is made', () => {
    const program = `
      import { createRequire } from 'node:module'
      import { loadTemplates } from './src/features/email/templates.ts'
      import { renderPage } from './src/features/email/render-page.ts'
      const { cache } = createRequire(import.meta.url)
      const isLoaded = () => ['liquidjs', 'intl-messageformat'].map((name) => Object.keys(cache).some((file) => file.includes(name)))
      const templates = await loadTemplates(${JSON.stringify(templateSettings())})
      const before = isLoaded()
      renderPage(templates, { kind: 'verified' }, 'en')
      console.log(JSON.stringify([before, isLoaded()]))`
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', program],
      { encoding: 'utf8', cwd: new URL('../..', import.meta.url) },
    )
    assert.equal(stdout, '[[false,false],[true,true]]\n', stderr)
  })
})

/** Whether what is isolated ends where it should, so that nothing after it is turned around. */
function assertIsolated(text: string): void {
  for (const line of text.split('\n')) {
    let depth = 0
    for (const character of line) {
      if (character === '\u2068') depth += 1
      if (character === '\u2069') depth -= 1
      assert.ok(depth === 0 || depth === 1, line)
    }
    assert.equal(depth, 0, line)
  }
}
