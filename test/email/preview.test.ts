import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { MAIL_KINDS, SAMPLE_PAGES } from '../../src/features/email/samples.ts'
import { runCli } from '../support/cli.ts'
import { templateFolders } from '../support/templates.ts'

const MAILS = MAIL_KINDS.length
const PAGES = Object.keys(SAMPLE_PAGES).length

describe('postern email preview', { concurrency: 2 }, () => {
  const makeFolder = templateFolders()
  const preview = (args: readonly string[], folder: string, env = {}) =>
    runCli(['email', 'preview', ...args], { folder, env })

  it('writes every mail and page in every language, and a page that leads to them all', async () => {
    const folder = await makeFolder({})
    const { code, stdout, stderr } = await preview([], folder, { PROJECT_NAME: 'Garden & Gate' })
    const index = join(folder, 'email-preview/index.html')
    assert.deepEqual([code, stderr], [0, ''])
    assert.equal(stdout, `Wrote ${MAILS} mails and ${PAGES} pages in 4 languages: open ${index}\n`)
    const html = await readFile(index, 'utf8')
    const links = [...html.matchAll(/href="([^"]+)"/g)].map(([, link = '']) => link)
    assert.equal(links.length, 4 * (2 * MAILS + PAGES))
    for (const link of links) assert.ok(existsSync(join(folder, 'email-preview', link)), link)
    assert.match(html, /<bdi>sign_in: Sign in to Garden &amp; Gate<\/bdi>/)
    for (const locale of ['ar', 'de', 'en', 'ja']) {
      const files = await readdir(join(folder, 'email-preview', locale))
      assert.equal(files.length, 2 * MAILS + PAGES, locale)
    }
    const mail = await readFile(join(folder, 'email-preview/de/sign_in.html'), 'utf8')
    assert.match(mail, /<html lang="de" dir="ltr">/)
  })

  it('--locale and --out: one language, elsewhere, and what else is there stays', async () => {
    const folder = await makeFolder({ 'mails/keep.txt': 'kept', 'mails/ja/sign_in.txt': 'old' })
    const { code, stdout } = await preview(['--locale', 'ja', '--out', 'mails'], folder)
    assert.equal(code, 0)
    assert.match(stdout, /in 1 language: open .*\/mails\/index\.html\n$/)
    assert.deepEqual(await readdir(join(folder, 'mails')), ['index.html', 'ja', 'keep.txt'])
    assert.equal(await readFile(join(folder, 'mails/keep.txt'), 'utf8'), 'kept')
    assert.match(await readFile(join(folder, 'mails/ja/sign_in.txt'), 'utf8'), /^Posternへのログイン\n/)
  })

  it('shows templates of one’s own, and needs neither a secret nor a database', async () => {
    const folder = await makeFolder({ 'own/sign_in.txt.liquid': 'Own {{ code }}' })
    const { code } = await preview(['--locale', 'en'], folder, { EMAIL_TEMPLATES_DIR: 'own' })
    assert.equal(code, 0)
    assert.equal(await readFile(join(folder, 'email-preview/en/sign_in.txt'), 'utf8'), 'Own 482913\n')
    assert.deepEqual(await readdir(folder), ['email-preview', 'own'])
  })

  it('tells what is wrong in them, exit code 1, and writes nothing', async () => {
    const folder = await makeFolder({ 'own/page.liquid': '{{ oops' })
    const { code, stdout, stderr } = await preview([], folder, { EMAIL_TEMPLATES_DIR: 'own' })
    assert.deepEqual([code, stdout], [1, ''])
    assert.equal(
      stderr,
      `postern: Invalid templates in ${join(folder, 'own')}:\n  page.liquid:1: output "{{ oops" not closed\n`,
    )
    assert.deepEqual(await readdir(folder), ['own'])
  })

  it('an unknown language is refused with those that there are, exit code 2', async () => {
    const folder = await makeFolder({})
    for (const locale of ['fr', '../x']) {
      const { code, stdout, stderr } = await preview(['--locale', locale], folder)
      assert.deepEqual([code, stdout], [2, ''])
      assert.equal(stderr, `postern: There are no mails in "${locale}"; expected one of ar, de, en, ja\n`)
    }
    assert.deepEqual(await readdir(folder), [])
  })

  it('a place that cannot be written to is told in one line, exit code 1', async () => {
    const folder = await makeFolder({})
    await writeFile(join(folder, 'file'), '')
    await mkdir(join(folder, 'taken/index.html'), { recursive: true })
    const onFile = await preview(['--out', 'file'], folder)
    assert.deepEqual([onFile.code, onFile.stdout], [1, ''])
    assert.match(onFile.stderr, /^postern: .*\/file\/ar cannot be written \(ENOTDIR\)\n$/)
    const onFolder = await preview(['--locale', 'en', '--out', 'taken'], folder)
    assert.match(onFolder.stderr, /^postern: .*\/taken\/index\.html cannot be written \(EISDIR\)\n$/)
  })
})
