import { join } from 'node:path'
import { StartupError } from '../../core/problems.ts'
import { checkMessages } from './check-messages.ts'
import { checkFiles, checkRendering } from './check-templates.ts'
import { type Message, readMessages } from './message-files.ts'
import { MAIL_KINDS } from './samples.ts'
import { FileError, listNames, readText, type Sources, TEMPLATE_FILES } from './template-files.ts'
import type { TemplateSettings, Templates } from './templates.ts'

type Folder = { files: Map<string, string>; messages: Map<string, Message[]> }

const OWN_FILES = new Set([
  ...TEMPLATE_FILES,
  ...MAIL_KINDS.flatMap((kind) => [`${kind}.html.liquid`, `${kind}.txt.liquid`]),
])
const MESSAGES = /^messages\/(.+)\.json$/

/**
 * Reads what EMAIL_TEMPLATES_DIR names.
 * @param ours what it goes before
 * @throws StartupError that names every file and line with something wrong
 */
export function readOwnSources(directory: string, ours: Templates, settings: TemplateSettings): Sources {
  const errors: string[] = []
  const { files, messages } = readFolder(directory, errors)
  for (const [locale, own] of messages) errors.push(...checkMessages(own, ours, locale))
  errors.push(...checkFiles(files, ours, settings))
  refuse(directory, errors)
  return { files, messages: new Map([...messages].map(([locale, own]) => [locale, textsOf(own)])) }
}

/**
 * Makes every mail and page in every language.
 * @throws StartupError that names every file and line with something wrong
 */
export const tryTemplates = (directory: string, templates: Templates, settings: TemplateSettings): void =>
  refuse(directory, checkRendering(templates, settings))

function refuse(directory: string, errors: readonly string[]): void {
  if (errors.length > 0)
    throw new StartupError([`Invalid templates in ${directory}:`, ...errors].join('\n  '))
}

const textsOf = (messages: readonly Message[]) => new Map(messages.map(({ key, text }) => [key, text]))

/** @param errors takes a line for each file that cannot be read or has no business there */
function readFolder(directory: string, errors: string[]): Folder {
  const folder: Folder = { files: new Map(), messages: new Map() }
  for (const path of listPaths(directory)) {
    try {
      readInto(folder, directory, path)
    } catch (error) {
      errors.push(explain(error, path))
    }
  }
  return folder
}

function listPaths(directory: string): string[] {
  try {
    return listNames(directory).flatMap((name) =>
      name === 'messages' ? listNames(join(directory, name)).map((file) => `${name}/${file}`) : [name],
    )
  } catch (error) {
    const { path, code } = error as NodeJS.ErrnoException
    throw new StartupError(`EMAIL_TEMPLATES_DIR: ${path} cannot be read as a folder (${code})`)
  }
}

/** @throws FileError */
function readInto({ files, messages }: Folder, directory: string, path: string): void {
  const [, locale] = MESSAGES.exec(path) ?? []
  if (locale !== undefined) {
    refuseUnknownLocale(locale)
    messages.set(locale, readMessages(readText(join(directory, path))))
  } else if (OWN_FILES.has(path)) {
    files.set(path, readText(join(directory, path)))
  } else {
    const kinds = MAIL_KINDS.join(', ')
    throw new FileError(
      `unknown file; expected ${TEMPLATE_FILES.join(', ')}, KIND.html.liquid or KIND.txt.liquid with a KIND of ${kinds}, or messages/LOCALE.json`,
    )
  }
}

function refuseUnknownLocale(locale: string): void {
  const canonical = canonicalLocale(locale)
  if (canonical === undefined || Intl.DateTimeFormat.supportedLocalesOf(canonical).length === 0) {
    throw new FileError(`unknown language; expected a tag of BCP 47 such as fr or pt-BR`)
  }
  if (canonical !== locale) throw new FileError(`unknown language; expected ${canonical}`)
}

function canonicalLocale(locale: string): string | undefined {
  try {
    return Intl.getCanonicalLocales(locale)[0]
  } catch {
    return undefined
  }
}

function explain(error: unknown, path: string): string {
  if (error instanceof FileError) {
    return error.line === undefined ? `${path}: ${error.message}` : `${path}:${error.line}: ${error.message}`
  }
  return `${path}: it cannot be read (${(error as NodeJS.ErrnoException).code})`
}
