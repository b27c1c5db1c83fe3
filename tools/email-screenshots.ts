import { mkdir, rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Page } from 'playwright-core'
import { loadSettings } from '../src/core/settings.ts'
import { renderMail } from '../src/features/email/render-mail.ts'
import { renderPage } from '../src/features/email/render-page.ts'
import { MAIL_KINDS, SAMPLE_PAGES, sampleMail } from '../src/features/email/samples.ts'
import { loadTemplates } from '../src/features/email/templates.ts'
import { launchBrowser, withoutBrowser } from '../test/support/browser.ts'

/** Writes docs/email-pictures.md and its pictures: every mail and page, by a real browser. */
const DOCS = resolve(import.meta.dirname, '../docs')
const FOLDER = resolve(DOCS, 'images/email')
/** The first has all of them, the others one of each. */
const [FIRST, ...OTHERS] = ['en', 'de', 'ja', 'ar'] as const
const OF_OTHERS = ['reset_password', 'page-reset']
/** So that the pictures are the same tomorrow. */
const NOW = Date.UTC(2026, 0, 31, 9, 30)

if (withoutBrowser) throw new Error(withoutBrowser)
const { settings } = loadSettings({
  env: { SECRET_KEY: 'only-for-pictures-0123456789-abcdef', PUBLIC_URL: 'https://auth.example.com' },
})
const templates = await loadTemplates(settings)
await rm(FOLDER, { recursive: true, force: true })
await mkdir(FOLDER, { recursive: true })

const browser = await launchBrowser()
const page = await browser.newPage({ viewport: { width: 640, height: 400 } })
const names = [...(await takeAll(page, FIRST))]
for (const locale of OTHERS) names.push(...(await takeAll(page, locale, OF_OTHERS)))
await page.emulateMedia({ colorScheme: 'dark' })
for (const name of await takeAll(page, FIRST, OF_OTHERS, '-dark')) names.push(name)
await browser.close()
await writeFile(resolve(DOCS, 'email-pictures.md'), document(names))

async function takeAll(page: Page, locale: string, only?: readonly string[], suffix = ''): Promise<string[]> {
  const mails = MAIL_KINDS.map((kind) => {
    const { html } = renderMail(templates, sampleMail(kind, settings, NOW), locale, NOW)
    return [kind, html] as const
  })
  const pages = Object.entries(SAMPLE_PAGES).map(
    ([name, sample]) => [`page-${name}`, renderPage(templates, sample, locale)] as const,
  )
  const wanted = [...mails, ...pages].filter(([name]) => only === undefined || only.includes(name))
  for (const [name, html] of wanted) {
    await page.setContent(html)
    await page.screenshot({ path: resolve(FOLDER, `${locale}-${name}${suffix}.png`), fullPage: true })
  }
  return wanted.map(([name]) => `${locale}-${name}${suffix}`)
}

function document(names: readonly string[]): string {
  const pictures = names.map((name) => `### ${name}\n\n![${name}](images/email/${name}.png)\n`)
  return `# Every mail and page, in pictures

Written by \`npm run screenshots\`. With your own name, colour and logo: \`postern email preview\`.

${pictures.join('\n')}`
}
