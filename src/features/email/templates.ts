import type { Settings } from '../../core/settings.ts'
import { type Brand, createBrand } from './brand.ts'
import { type Catalogue, createCatalogue } from './catalogues.ts'
import { createLiquidFile, type LiquidFile } from './liquid-files.ts'
import { hashTemplateStyle } from './page-style.ts'
import { PAGE_FILE, readOurSources, type Sources } from './template-files.ts'

/** All that mails and pages are made from. */
export type Templates = Readonly<{
  /** Languages that there are, as in BCP 47. */
  locales: readonly string[]
  catalogues: ReadonlyMap<string, Catalogue>
  brand: Brand
  /** What a kind of mail has no file of its own for is in that of all mails. */
  file(name: string): LiquidFile
  /** Of the style within a page, for its Content-Security-Policy: `sha256-…`, without quotes. */
  pageStyleHash: string
  /** Where the logo is from, for the same; undefined where there is none. */
  imageOrigin: string | undefined
}>

export type TemplateSettings = Pick<Settings, 'projectName' | 'publicUrl' | 'email'>

/**
 * Reads templates and messages, those of EMAIL_TEMPLATES_DIR before ours. Ours are compiled when they are needed, and
 * tried by tests; with a folder of one's own all is tried at once.
 * @throws StartupError that names every file and line with something wrong
 */
export async function loadTemplates(settings: TemplateSettings): Promise<Templates> {
  const { templatesDirectory: directory } = settings.email
  const sources = readOurSources()
  const ours = createTemplates(settings, [sources])
  if (directory === undefined) return ours
  const { readOwnSources, tryTemplates } = await import('./own-templates.ts')
  const templates = createTemplates(settings, [sources, readOwnSources(directory, ours, settings)])
  tryTemplates(directory, templates, settings)
  return templates
}

/** @param sources of which each goes before those that stand to its left */
function createTemplates(settings: TemplateSettings, sources: readonly Sources[]): Templates {
  const locales = [...new Set(sources.flatMap(({ messages }) => [...messages.keys()]))].sort()
  const catalogues = new Map(
    locales.map((locale) => {
      const messages = sources.flatMap((source) => [...(source.messages.get(locale) ?? [])])
      return [locale, createCatalogue(locale, new Map(messages))]
    }),
  )
  const texts = new Map(sources.flatMap(({ files }) => [...files]))
  const files = new Map([...texts].map(([name, text]) => [name, createLiquidFile(name, text)]))
  const brand = createBrand(settings)
  const { brandLogoUrl: logo } = settings.email
  return {
    locales,
    catalogues,
    brand,
    file: (name) => getFile(files, name),
    pageStyleHash: hashTemplateStyle(texts.get(PAGE_FILE) ?? '', brand),
    imageOrigin: logo && new URL(logo).origin,
  }
}

function getFile(files: ReadonlyMap<string, LiquidFile>, name: string): LiquidFile {
  const file = files.get(name) ?? files.get(name.replace(/^[^.]+/, 'mail'))
  if (!file) throw new TypeError(`there is no template ${name}`)
  return file
}
