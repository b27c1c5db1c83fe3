import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { before, describe, it } from 'node:test'
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/clock.ts'
import { type Catalogue, compileMessage } from '../../src/features/email/catalogues.ts'
import { messageArguments } from '../../src/features/email/check-messages.ts'
import { catalogueOf, chooseLocale } from '../../src/features/email/locales.ts'
import type { Mail } from '../../src/features/email/mails.ts'
import { readMessages } from '../../src/features/email/message-files.ts'
import { renderMail } from '../../src/features/email/render-mail.ts'
import { renderPage } from '../../src/features/email/render-page.ts'
import { MAIL_KINDS, SAMPLE_PAGES, sampleMail } from '../../src/features/email/samples.ts'
import { formatDuration } from '../../src/features/email/shown.ts'
import { loadTemplates, type Templates } from '../../src/features/email/templates.ts'
import { readProjectFile } from '../support/documents.ts'
import { NOW, templateSettings } from '../support/templates.ts'

const FOLDER = 'src/features/email/messages'
const LOCALES = readdirSync(resolve(import.meta.dirname, '../..', FOLDER)).map((name) =>
  name.replace('.json', ''),
)

describe('catalogues', () => {
  const settings = templateSettings()
  let templates: Templates
  let english: Catalogue
  before(async () => {
    templates = await loadTemplates(settings)
    english = catalogueOf(templates, 'en')
  })
  const messagesOf = (locale: string) => [...catalogueOf(templates, locale).messages]

  it('a language is a file: English, German, Japanese and Arabic to begin with', () => {
    assert.deepEqual(templates.locales, [...LOCALES].sort())
    for (const locale of ['ar', 'de', 'en', 'ja']) assert.ok(templates.locales.includes(locale), locale)
    assert.equal(catalogueOf(templates, 'ar').direction, 'rtl')
    assert.equal(catalogueOf(templates, 'ja').direction, 'ltr')
  })

  for (const locale of LOCALES) {
    it(`${locale}: every message of English once, in its order, and no other`, () => {
      const keys = readMessages(readProjectFile(`${FOLDER}/${locale}.json`)).map(({ key }) => key)
      assert.deepEqual(keys, [...english.messages.keys()])
    })

    it(`${locale}: every message takes the arguments that the English one takes`, () => {
      for (const [key, text] of messagesOf(locale)) {
        assert.deepEqual(namesIn(text, locale), namesIn(english.messages.get(key) ?? '', 'en'), key)
      }
    })

    it(`${locale}: every plural has each form of the language, and no other`, () => {
      const forms = new Intl.PluralRules(locale).resolvedOptions().pluralCategories.toSorted()
      const plurals = messagesOf(locale).flatMap(([key, text]) =>
        pluralsIn(text, locale).map((found) => [key, found]),
      )
      assert.ok(plurals.length >= 4)
      for (const [key, found] of plurals) assert.deepEqual(found, forms, String(key))
    })

    it(`${locale}: every message is a text without blanks at its ends, or characters that do not show`, () => {
      for (const [key, text] of messagesOf(locale)) {
        assert.notEqual(text, '', key)
        assert.equal(text, text.trim(), key)
        assert.doesNotMatch(text, /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|(?<!\n)\n(?!\n)| {2}/u, key)
      }
    })
  }

  it('no message is left over: the mails and pages use them all', () => {
    const used = new Set<string>()
    const recording = { ...templates, catalogues: new Map([['en', record(english, used)]]) }
    const unknownDevice: Mail = {
      kind: 'new_sign_in',
      username: 'ada',
      data: { at: NOW, ip: '203.0.113.7', userAgent: '', failures: 0 },
    }
    for (const mail of [...MAIL_KINDS.map((kind) => sampleMail(kind, settings, NOW)), unknownDevice]) {
      renderMail(recording, mail, 'en', NOW)
    }
    for (const page of Object.values(SAMPLE_PAGES)) renderPage(recording, page, 'en')
    assert.deepEqual([...used].sort(), [...english.messages.keys()].sort())
  })

  for (const [locale, expected] of [
    ['en', ['1 minute', '10 minutes', '1 hour', '24 hours', '7 days']],
    ['de', ['1 Minute', '10 Minuten', '1 Stunde', '24 Stunden', '7 Tage']],
    ['ja', ['1分間', '10分間', '1時間', '24時間', '7日間']],
    ['ar', ['دقيقة واحدة', '10 دقائق', 'ساعة واحدة', '24 ساعة', '7 أيام']],
  ] as const) {
    it(`${locale}: how long a link is valid, in the plural that it takes`, () => {
      const catalogue = catalogueOf(templates, locale)
      const durations = [MINUTE, 10 * MINUTE, HOUR, DAY, 7 * DAY]
      assert.deepEqual(
        durations.map((duration) => formatDuration(catalogue, duration)),
        expected,
      )
    })
  }

  it('Arabic: two, few, many and other', () => {
    const catalogue = catalogueOf(templates, 'ar')
    const shown = [2, 3, 11, 100].map((count) => catalogue.format('common.hours', { count }))
    assert.deepEqual(shown, ['ساعتين', '3 ساعات', '11 ساعة', '100 ساعة'])
    const failures = [1, 2, 5, 40].map(
      (count) =>
        catalogue.format('mail.failed_sign_ins.intro', { failures: count, project: 'P' }).split(' لتسجيل')[0],
    )
    assert.deepEqual(failures, [
      'حدثت محاولة فاشلة واحدة',
      'حدثت محاولتان فاشلتان متتاليتان',
      'حدثت 5 محاولات فاشلة متتالية',
      'حدثت 40 محاولة فاشلة متتالية',
    ])
  })

  it('a sign-in is from a device that was not known, or after failures, in every language', () => {
    for (const locale of templates.locales) {
      const say = (failures: number) =>
        catalogueOf(templates, locale).format('mail.new_sign_in.intro', { failures, project: 'P' })
      assert.doesNotMatch(say(0), /[0-9#{]/)
      assert.match(say(12), /^[^#{]*12[^#{]*$/)
    }
  })

  it('a duration never promises more than five minutes too much, and is told even when it has passed', () => {
    for (const [duration, expected] of [
      [DAY - 2 * SECOND, '24 hours'],
      [DAY - 4 * MINUTE, '24 hours'],
      [DAY - 6 * MINUTE, '23 hours'],
      [HOUR - 20 * MINUTE, '40 minutes'],
      [90 * MINUTE, '90 minutes'],
      [2 * HOUR, '2 hours'],
      [48 * HOUR, '48 hours'],
      [7 * DAY - SECOND, '7 days'],
      [7 * DAY - 2 * HOUR, '6 days'],
      [0, '1 minute'],
      [-HOUR, '1 minute'],
    ] as const) {
      assert.equal(formatDuration(english, duration), expected, String(duration))
    }
  })
})

describe('the language of a mail', () => {
  const locales = ['ar', 'de', 'en', 'ja', 'pt-BR', 'zh-Hant']
  const choose = (accountLocale: string | undefined, acceptLanguage?: string) =>
    chooseLocale({ locales }, { accountLocale, acceptLanguage })

  it("is the account's, also by its base language, before the browser's", () => {
    for (const [locale, expected] of [
      ['de', 'de'],
      ['de-AT', 'de'],
      ['DE-at', 'de'],
      ['ja-JP-u-ca-japanese', 'ja'],
      ['zh-Hant-TW', 'zh-Hant'],
      ['pt-BR', 'pt-BR'],
    ] as const) {
      assert.equal(choose(locale, 'ar'), expected, locale)
    }
  })

  it("is the browser's where the account has none, or one that there are no messages in", () => {
    for (const account of [undefined, '', 'fr', 'pt', 'tlh', '-', 'de_AT']) {
      assert.equal(choose(account, 'fr-CA, ja;q=0.5, ar;q=0.9'), 'ar', String(account))
    }
    assert.equal(chooseLocale({ locales }, { accountLocale: null, acceptLanguage: 'ja' }), 'ja')
  })

  it('follows the weights of Accept-Language, and the order where they are equal', () => {
    for (const [header, expected] of [
      ['de', 'de'],
      ['de-CH, en;q=0.8', 'de'],
      ['en;q=0.8, de-CH', 'de'],
      ['ja;q=0.5,ar;q=0.5', 'ja'],
      ['fr, ja ; q=0.300 , de;q=0.2', 'ja'],
      ['de;q=0, ja;q=0.1', 'ja'],
      ['*, de;q=0.5', 'en'],
      ['fr;q=1.0, *;q=0.1', 'en'],
      ['DE', 'de'],
      ['zh-Hant-x-abc', 'zh-Hant'],
    ] as const) {
      assert.equal(choose(undefined, header), expected, header)
    }
  })

  it('is English where nothing else is asked for, whatever stands in the header', () => {
    const malformed = [
      '',
      ' ',
      ',,,;',
      'q=1',
      'de;q=2',
      'de;q=0.1234',
      'de;q',
      'd e',
      'de-',
      '-de',
      'ä',
      '\0',
    ]
    for (const header of [undefined, 'fr', ...malformed])
      assert.equal(choose(undefined, header), 'en', String(header))
    assert.equal(choose(undefined, 'de;q=oops, ja;q=0.1'), 'ja')
  })

  it('takes no time over a header that is made to', () => {
    const hostile = ['-', ',', ' ', ';q=0.', 'a-', 'a-a,', 'de;q=0.1'].map((part) => part.repeat(100_000))
    const start = performance.now()
    for (const header of hostile) assert.equal(typeof choose(header, header), 'string')
    assert.ok(performance.now() - start < 500)
  })
})

const namesIn = (text: string, locale: string): string[] =>
  [...new Set(messageArguments(text, locale).map(({ name }) => name))].sort()

function pluralsIn(text: string, locale: string): string[][] {
  type Elements = ReturnType<ReturnType<typeof compileMessage>['getAst']>
  const collect = (elements: Elements): string[][] =>
    elements.flatMap((element) => {
      if (!('options' in element)) return []
      const inner = Object.values(element.options).flatMap(({ value }) => collect(value))
      // Exact ones, such as `=0`, stand beside the forms of the language.
      const forms = Object.keys(element.options).filter((form) => !form.startsWith('='))
      return 'offset' in element ? [forms.sort(), ...inner] : inner
    })
  return collect(compileMessage(text, locale).getAst())
}

/** The same catalogue, which notes what it is asked for. */
const record = (catalogue: Catalogue, used: Set<string>): Catalogue => ({
  ...catalogue,
  format(key, values) {
    used.add(key)
    return catalogue.format(key, values)
  },
})
