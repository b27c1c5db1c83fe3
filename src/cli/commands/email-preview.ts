import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { systemClock, type Timestamp } from '../../core/clock.ts'
import { checkSettings } from '../../core/settings.ts'
import { escapeHtml } from '../../features/email/liquid-files.ts'
import { renderMail } from '../../features/email/render-mail.ts'
import { renderPage } from '../../features/email/render-page.ts'
import { MAIL_KINDS, SAMPLE_PAGES, sampleMail } from '../../features/email/samples.ts'
import { loadTemplates, type TemplateSettings, type Templates } from '../../features/email/templates.ts'
import { CommandFailure, MISUSED } from '../failures.ts'
import { announce } from '../open.ts'
import { count, print, visible } from '../output.ts'

export type PreviewOptions = { locale?: string; out: string }

/** A mail or a page, in its files. */
type Preview = { title: string; files: { label: string; path: string; content: string }[] }

/** Writes every mail and page with made-up data, and a page with links to them all. */
export async function previewEmail({ locale, out }: PreviewOptions): Promise<void> {
  const settings = announce(checkSettings())
  const templates = await loadTemplates(settings)
  const locales = locale === undefined ? templates.locales : [getLocale(templates, locale)]
  const now = systemClock.now()
  const previews = locales.map((name) => ({
    locale: name,
    mails: MAIL_KINDS.map((kind) => previewMail(templates, settings, kind, name, now)),
    pages: Object.keys(SAMPLE_PAGES).map((page) => previewPage(templates, page as SamplePage, name)),
  }))
  const folder = resolve(out)
  const all = previews.flatMap(({ mails, pages }) => [...mails, ...pages])
  const index = { path: 'index.html', content: renderIndex(settings, previews) }
  await write(folder, [...all.flatMap(({ files }) => files), index])
  await print(
    `Wrote ${count(MAIL_KINDS.length, 'mail')} and ${count(Object.keys(SAMPLE_PAGES).length, 'page')} in ${count(locales.length, 'language')}: open ${join(folder, index.path)}\n`,
  )
}

function getLocale({ locales }: Templates, locale: string): string {
  if (locales.includes(locale)) return locale
  throw new CommandFailure(
    `There are no mails in "${visible(locale)}"; expected one of ${locales.join(', ')}`,
    MISUSED,
  )
}

function previewMail(
  templates: Templates,
  settings: TemplateSettings,
  kind: (typeof MAIL_KINDS)[number],
  locale: string,
  now: Timestamp,
): Preview {
  const { subject, html, text } = renderMail(templates, sampleMail(kind, settings, now), locale, now)
  return {
    title: `${kind}: ${subject}`,
    files: [
      { label: 'HTML', path: `${locale}/${kind}.html`, content: html },
      { label: 'text', path: `${locale}/${kind}.txt`, content: text },
    ],
  }
}

type SamplePage = keyof typeof SAMPLE_PAGES

function previewPage(templates: Templates, page: SamplePage, locale: string): Preview {
  const content = renderPage(templates, SAMPLE_PAGES[page], locale)
  return { title: page, files: [{ label: 'HTML', path: `${locale}/page-${page}.html`, content }] }
}

type PreviewsOfLocale = { locale: string; mails: Preview[]; pages: Preview[] }

const renderIndex = ({ projectName }: TemplateSettings, previews: readonly PreviewsOfLocale[]): string =>
  `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(projectName)}: mails and pages</title>
<body style="font: 1rem/1.6 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem">
<h1>${escapeHtml(projectName)}: mails and pages</h1>
${previews.map(renderLocale).join('\n')}
</html>
`

const renderLocale = ({ locale, mails, pages }: PreviewsOfLocale): string =>
  `<h2>${locale}</h2>\n<h3>Mails</h3>\n${renderList(mails)}\n<h3>Pages</h3>\n${renderList(pages)}`

const renderList = (previews: readonly Preview[]): string =>
  `<ul>\n${previews.map(renderItem).join('\n')}\n</ul>`

const renderItem = ({ title, files }: Preview): string => {
  const links = files.map(({ label, path }) => `<a href="${path}">${label}</a>`)
  return `<li><bdi>${escapeHtml(title)}</bdi> (${links.join(', ')})</li>`
}

async function write(folder: string, files: readonly { path: string; content: string }[]): Promise<void> {
  try {
    for (const { path, content } of files) {
      const file = join(folder, path)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, content)
    }
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException
    throw new CommandFailure(`${path ?? folder} cannot be written (${code})`)
  }
}
