import assert from 'node:assert/strict'
import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { StartupError } from '../../src/core/problems.ts'
import { hashStyle } from '../../src/features/email/page-style.ts'
import { renderMail } from '../../src/features/email/render-mail.ts'
import { renderPage } from '../../src/features/email/render-page.ts'
import { MAIL_KINDS, sampleMail } from '../../src/features/email/samples.ts'
import { loadTemplates, type Templates } from '../../src/features/email/templates.ts'
import { readProjectFile } from '../support/documents.ts'
import { NOW, templateFolders, templateSettings } from '../support/templates.ts'

const OURS = 'src/features/email'

function assertLines(lines: readonly string[], expected: readonly RegExp[]): void {
  assert.equal(lines.length, expected.length, lines.join('\n'))
  for (const [index, pattern] of expected.entries()) assert.match(lines[index] ?? '', pattern)
}

describe('templates of one’s own', () => {
  const makeFolder = templateFolders()
  const load = async (files: Readonly<Record<string, string | Buffer>>): Promise<Templates> =>
    loadTemplates(templateSettings({ EMAIL_TEMPLATES_DIR: await makeFolder(files) }))
  const render = (templates: Templates, kind: (typeof MAIL_KINDS)[number], locale: string) =>
    renderMail(templates, sampleMail(kind, templateSettings(), NOW), locale, NOW)

  /** The lines that a start is refused with. */
  async function refusal(files: Readonly<Record<string, string | Buffer>>): Promise<string[]> {
    const folder = await makeFolder(files)
    const error = await loadTemplates(templateSettings({ EMAIL_TEMPLATES_DIR: folder })).catch((e) => e)
    assert.ok(error instanceof StartupError, String(error))
    const [first, ...lines] = error.message.split('\n  ')
    assert.equal(first, `Invalid templates in ${folder}:`)
    return lines
  }

  it('ours pass every check, and in an empty folder all is ours', async () => {
    const own = await load({})
    const ours = await loadTemplates(templateSettings())
    for (const kind of MAIL_KINDS) assert.deepEqual(render(own, kind, 'de'), render(ours, kind, 'de'))
    assert.equal(own.pageStyleHash, ours.pageStyleHash)
  })

  it('what is changed in a copy of ours is what is sent', async () => {
    const copy = (name: string) => readProjectFile(`${OURS}/templates/${name}`)
    const own = await load({
      'mail.html.liquid': copy('mail.html.liquid').replace('</body>', '<p>Own {{ kind }}</p></body>'),
      'mail.txt.liquid': `${copy('mail.txt.liquid')}\nOwn {{ kind }}\n`,
      'page.liquid': copy('page.liquid').replace('</main>', '</main><footer>Own {{ kind }}</footer>'),
    })
    for (const kind of MAIL_KINDS) {
      const { html, text } = render(own, kind, 'ja')
      assert.match(html, new RegExp(`<p>Own ${kind}</p>`))
      assert.match(text, new RegExp(`\nOwn ${kind}\n$`))
    }
    assert.match(renderPage(own, { kind: 'verified' }, 'en'), /<footer>Own verified<\/footer>/)
  })

  it('a kind of mail may have its own, and the others keep theirs', async () => {
    const own = await load({
      'sign_in.html.liquid': '<a href="{{ action.url }}">{{ username }}</a>',
      'sign_in.txt.liquid': '{{ code }} for {{ username }}\r\n',
      'mail.txt.liquid': 'All: {{ heading }}',
    })
    const { html, text } = render(own, 'sign_in', 'en')
    assert.match(html, /^<a href="https:\/\/auth\.example\.com\/[^"]+">ada<\/a>$/)
    assert.equal(text, '482913 for ada\n')
    assert.equal(render(own, 'reset_password', 'en').text, 'All: Set a new password\n')
    assert.match(render(own, 'reset_password', 'en').html, /^<!doctype html>/)
  })

  it('may use what Liquid has: loops, variables of their own, filters, and what a mail has not is empty', async () => {
    const own = await load({
      'mail.txt.liquid': `{% assign all = facts | map: "label" %}{% capture first %}{{ all | first | upcase }}{% endcapture -%}
{{ first }} {% for fact in facts %}{{ forloop.index }}{{ fact.label }}{% unless forloop.last %}, {% endunless %}{% endfor -%}
{{ action.url | default: "no link" }}`,
    })
    assert.equal(render(own, 'new_sign_in', 'en').text, 'TIME 1Time, 2Device, 3IP addressno link\n')
  })

  it('what is put into HTML is escaped there as well, and not in text', async () => {
    const own = await load({
      'sign_in.html.liquid': '{{ project_name }}',
      'sign_in.txt.liquid': '{{ project_name }}',
    })
    const named = { ...own, brand: { ...own.brand, project_name: '<b>&' } }
    const { html, text } = render(named, 'sign_in', 'en')
    assert.deepEqual([html, text], ['&lt;b&gt;&amp;', '<b>&\n'])
  })

  it('messages of one’s own go before ours one by one, in either form of their keys', async () => {
    const own = await load({
      'messages/en.json': '{ "mail.sign_in.subject": "{name}, sign in to {project}" }',
      'messages/de.json':
        '{ "mail": { "sign_in": { "heading": "Hallo" } }, "page": { "verified": { "heading": "Gut" } } }',
    })
    assert.equal(render(own, 'sign_in', 'en').subject, 'ada, sign in to Garden Gate')
    assert.match(render(own, 'sign_in', 'en').text, /^Sign in to Garden Gate\n/)
    assert.match(render(own, 'sign_in', 'de').text, /^Hallo\n\nGuten Tag ada,\n/)
    assert.match(renderPage(own, { kind: 'verified' }, 'de'), /<h1>Gut<\/h1>/)
  })

  it('a further language is one file', async () => {
    const french = readProjectFile(`${OURS}/messages/en.json`).replace('Hello {name}', 'Bonjour {name}')
    const own = await load({ 'messages/fr.json': french, 'messages/.DS_Store': 'x', '.git/config': 'x' })
    assert.deepEqual(own.locales, ['ar', 'de', 'en', 'fr', 'ja'])
    assert.match(render(own, 'sign_in', 'fr-CA').text, /\nBonjour ada,\n/)
    assert.match(render(own, 'sign_in', 'fr').text, /31 janvier 2026/)
  })

  it('a page may have a style of its own, which is then the one that is announced', async () => {
    const own = await load({
      'page.liquid': `<style>\r\nh1 { color: {{ brand_color }} }\r\n</style><h1>{{ heading }}</h1>`,
    })
    const html = renderPage(own, { kind: 'verified' }, 'en')
    assert.match(html, /^<style>\nh1 { color: #1d4ed8 }\n<\/style>/)
    assert.equal(hashStyle(html), own.pageStyleHash)
  })

  for (const [name, files, expected] of [
    [
      'a tag that is not closed',
      { 'mail.html.liquid': 'a\n{% if code %}' },
      [/^mail\.html\.liquid:2: tag \{% if code %\} not closed$/],
    ],
    [
      'an output that is not closed',
      { 'page.liquid': '\n\n{{ heading' },
      [/^page\.liquid:3: output "\{\{ heading" not closed$/],
    ],
    ['an unknown tag', { 'mail.txt.liquid': '{% foo %}' }, [/^mail\.txt\.liquid:1: tag "foo" not found$/]],
    [
      'another file',
      { 'mail.txt.liquid': '{% include "/etc/passwd" %}' },
      [/^mail\.txt\.liquid:1: tag "include" not found$/],
    ],
    [
      'an unknown filter',
      { 'mail.txt.liquid': '{{ code | foo }}' },
      [/^mail\.txt\.liquid:1: undefined filter: foo$/],
    ],
    [
      'unknown variables, also where samples do not come by',
      {
        'mail.txt.liquid': '{{ usrname }}\n{% if kind == "x" %}\n{{ action.lnk }}{% endif %}',
        'page.liquid': '{{ code }}',
      },
      [
        /^mail\.txt\.liquid:1: there is no usrname; expected one of .*username/,
        /^mail\.txt\.liquid:3: there is no action\.lnk; expected one of label, url$/,
        /^page\.liquid:1: there is no code; expected one of .*heading/,
      ],
    ],
    [
      'a variable within a loop',
      { 'sign_in.txt.liquid': '{% for fact in facts %}\n{{ fact.name }}{% endfor %}' },
      [/^sign_in\.txt\.liquid:2: undefined variable: fact\.name$/],
    ],
    [
      'a script on a page',
      { 'page.liquid': '<h1>\n<script src="x.js">' },
      [/^page\.liquid:2: <script: the page's Content-Security-Policy/],
    ],
    [
      'a handler on a page',
      { 'page.liquid': '<h1\nonclick="x">' },
      [/^page\.liquid:2: onclick=: the page's/],
    ],
    [
      'an inline style on a page',
      { 'page.liquid': '<h1 style="x">' },
      [/^page\.liquid:1: style=: the page's/],
    ],
    [
      'two styles on a page',
      { 'page.liquid': '<style>a{}</style><style>b{}</style>' },
      [/^page\.liquid: expected one <style>/],
    ],
    [
      'a style that changes',
      { 'page.liquid': '<style>/* {{ kind }} */</style>' },
      [/^page\.liquid: expected one <style>, the same on every page/],
    ],
    [
      'a mail that Gmail cuts off',
      { 'sign_in.html.liquid': 'x'.repeat(104_449) },
      [
        /^sign_in\.html\.liquid: sign_in in ar has 104449 bytes; expected at most 104448$/,
        /in de/,
        /in en/,
        /in ja/,
      ],
    ],
    [
      'an unknown file',
      { 'mail.html': 'x' },
      [/^mail\.html: unknown file; expected mail\.html\.liquid, .*sign_in.*messages\/LOCALE\.json$/],
    ],
    ['an unknown kind', { 'welcome.html.liquid': 'x' }, [/^welcome\.html\.liquid: unknown file/]],
    ['an unknown folder', { 'partials/x.liquid': 'x' }, [/^partials: unknown file/]],
    ['a folder in place of a file', { 'page.liquid/x': 'x' }, [/^page\.liquid: it is no file$/]],
    [
      'a file that is too big',
      { 'page.liquid': 'x'.repeat(2 ** 18 + 1) },
      [/^page\.liquid: it has 262145 bytes; expected at most 262144$/],
    ],
    ['a file that is not UTF-8', { 'page.liquid': Buffer.from([0xff]) }, [/^page\.liquid: it is not UTF-8$/]],
    [
      'messages that are not JSON',
      { 'messages/de.json': '{\n  "mail.sign_in.subject": "x",\n}' },
      [/^messages\/de\.json:3: expected a key in double quotes, found \}$/],
    ],
    [
      'a message twice',
      { 'messages/de.json': '{"page.undo.text":"x",\n"page":{"undo":{"text":"y"}}}' },
      [/^messages\/de\.json:2: page\.undo\.text: it is there twice$/],
    ],
    [
      'a message that is no text',
      { 'messages/de.json': '{"page.undo.text":\n7}' },
      [/^messages\/de\.json:2: expected a text in double quotes, or "\{", found 7$/],
    ],
    [
      'an unknown message',
      { 'messages/de.json': '{\n"mail":{\n"sign_in":{"subjekt":"x"}}}' },
      [/^messages\/de\.json:3: mail\.sign_in\.subjekt: there is no such message$/],
    ],
    [
      'a message that is no ICU message',
      { 'messages/de.json': '{"mail.sign_in.subject": "Für {project"}' },
      [
        /^messages\/de\.json:1: mail\.sign_in\.subject: no ICU message: expect argument closing brace at character 5$/,
      ],
    ],
    [
      'a plural without other',
      { 'messages/de.json': '{"common.minutes": "{count, plural, one {1}}"}' },
      [/^messages\/de\.json:1: common\.minutes: no ICU message: missing other clause/],
    ],
    [
      'an argument that ours has not, on whichever branch',
      { 'messages/de.json': '{"common.minutes": "{count, plural, one {1} other {{cuont}}}"}' },
      [/^messages\/de\.json:1: common\.minutes: there is no \{cuont\}; expected \{project\}, \{count\}$/],
    ],
    [
      'a plural of a name',
      { 'messages/de.json': '{"common.greeting": "{name, plural, other {#}}"}' },
      [/^messages\/de\.json:1: common\.greeting: \{name\} is no number$/],
    ],
    [
      'a language that is not complete',
      { 'messages/fr.json': '{"common.greeting": "Bonjour {name}"}' },
      [/^messages\/fr\.json: a new language, without common\.link_hint, .*, page\.unavailable\.text$/],
    ],
    [
      'no language',
      { 'messages/english.json': '{}' },
      [/^messages\/english\.json: unknown language; expected a tag of BCP 47 such as fr or pt-BR$/],
    ],
    [
      'a language under another name',
      { 'messages/pt_BR.json': '{}', 'messages/pt-br.json': '{}' },
      [
        /^messages\/pt-br\.json: unknown language; expected pt-BR$/,
        /^messages\/pt_BR\.json: unknown language; expected a tag/,
      ],
    ],
    ['messages that are no JSON file', { 'messages/de.txt': '{}' }, [/^messages\/de\.txt: unknown file/]],
  ] as const satisfies [string, Record<string, string | Buffer>, readonly RegExp[]][]) {
    it(`refused at start: ${name}`, async () => {
      assertLines(await refusal(files), expected)
    })
  }

  it('refused at start: everything that is wrong is told at once', async () => {
    const lines = await refusal({
      'mail.html.liquid': '{{ nothing }}',
      'page.liquid': '{% if %}',
      'strange.txt': '',
      'messages/de.json': '{"a":"b","common.greeting":"{who}"}',
    })
    assert.deepEqual(lines.map((line) => /^[\w./]+(?=:)/.exec(line)?.[0]).sort(), [
      'mail.html.liquid',
      'messages/de.json',
      'messages/de.json',
      'page.liquid',
      'strange.txt',
    ])
  })

  it('refused at start: a folder that is missing, or a file in its place', async () => {
    const folder = await makeFolder({ file: 'x' })
    for (const [path, code] of [
      [join(folder, 'missing'), 'ENOENT'],
      [join(folder, 'file'), 'ENOTDIR'],
    ] as const) {
      await assert.rejects(loadTemplates(templateSettings({ EMAIL_TEMPLATES_DIR: path })), {
        name: 'StartupError',
        message: `EMAIL_TEMPLATES_DIR: ${path} cannot be read as a folder (${code})`,
      })
    }
  })

  it('refused at start: a file that cannot be read', async () => {
    const folder = await makeFolder({})
    await symlink('nowhere', join(folder, 'page.liquid'))
    await assert.rejects(loadTemplates(templateSettings({ EMAIL_TEMPLATES_DIR: folder })), {
      message: `Invalid templates in ${folder}:\n  page.liquid: it cannot be read (ENOENT)`,
    })
  })
})
