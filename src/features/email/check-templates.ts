import { createLiquidFile, TemplateError } from './liquid-files.ts'
import { catalogueOf, DEFAULT_LOCALE } from './locales.ts'
import type { MailKind } from './mails.ts'
import { countStyles, findForbidden, hashStyle } from './page-style.ts'
import type { Page } from './pages.ts'
import { describeMail, renderMail } from './render-mail.ts'
import { describePage, renderPage } from './render-page.ts'
import { MAIL_KINDS, SAMPLE_PAGES, sampleMail } from './samples.ts'
import { PAGE_FILE } from './template-files.ts'
import type { TemplateSettings, Templates } from './templates.ts'

/** Beyond it Gmail shows only the beginning of a mail. */
const MAX_HTML_BYTES = 102 * 1024

/** What is wrong in files of one's own, on branches as well that samples do not take. */
export function checkFiles(
  files: ReadonlyMap<string, string>,
  ours: Templates,
  settings: TemplateSettings,
): string[] {
  const english = catalogueOf(ours, DEFAULT_LOCALE)
  const views = {
    mail: describeMail(ours, sampleMail('sign_in', settings, 0), english, 0),
    page: describePage(ours, SAMPLE_PAGES.reset_refused, english),
  }
  return [...files].flatMap(([name, source]) => {
    const errors = checkVariables(name, source, name === PAGE_FILE ? views.page : views.mail)
    const forbidden = name === PAGE_FILE ? findForbidden(source) : undefined
    if (!forbidden) return errors
    const { line, text } = forbidden
    return [...errors, `${name}:${line}: ${text}: the page's Content-Security-Policy allows one <style> only`]
  })
}

function checkVariables(name: string, source: string, view: object): string[] {
  try {
    const unknown = createLiquidFile(name, source)
      .variables()
      .flatMap(({ path, line }) => {
        const error = explainPath(view, path)
        return error === undefined ? [] : `${name}:${line}: ${error}`
      })
    return [...new Set(unknown)]
  } catch (error) {
    if (error instanceof TemplateError) return [error.message]
    throw error
  }
}

/** Why there is nothing at a path, as far as that does not depend on what is shown. */
function explainPath(view: object, path: readonly string[]): string | undefined {
  let value: unknown = view
  for (const [depth, name] of path.entries()) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    if (!Object.hasOwn(value, name)) {
      return `there is no ${path.slice(0, depth + 1).join('.')}; expected one of ${Object.keys(value).join(', ')}`
    }
    value = Reflect.get(value, name)
  }
  return undefined
}

/** What goes wrong when every mail and page is made in every language. */
export function checkRendering(templates: Templates, settings: TemplateSettings): string[] {
  const errors = templates.locales.flatMap((locale) => [
    ...MAIL_KINDS.flatMap((kind) =>
      attempt(`${kind} in ${locale}`, () => checkMail(templates, settings, kind, locale)),
    ),
    ...Object.entries(SAMPLE_PAGES).flatMap(([name, page]) =>
      attempt(`page ${name} in ${locale}`, () => checkPage(templates, page, locale)),
    ),
  ])
  return [...new Set(errors)]
}

function attempt(what: string, check: () => string[]): string[] {
  try {
    return check()
  } catch (error) {
    if (error instanceof TemplateError) return [error.message]
    return [`${what}: ${error instanceof Error ? error.message : error}`]
  }
}

function checkMail(
  templates: Templates,
  settings: TemplateSettings,
  kind: MailKind,
  locale: string,
): string[] {
  const { html } = renderMail(templates, sampleMail(kind, settings, 0), locale, 0)
  const bytes = Buffer.byteLength(html)
  const { name } = templates.file(`${kind}.html.liquid`)
  return bytes > MAX_HTML_BYTES
    ? [`${name}: ${kind} in ${locale} has ${bytes} bytes; expected at most ${MAX_HTML_BYTES}`]
    : []
}

function checkPage(templates: Templates, page: Page, locale: string): string[] {
  const html = renderPage(templates, page, locale)
  return countStyles(html) < 2 && hashStyle(html) === templates.pageStyleHash
    ? []
    : [
        `${PAGE_FILE}: expected one <style>, the same on every page, with no Liquid but {{ brand_color }} and {{ brand_text_color }}`,
      ]
}
