import { type Catalogue, compileMessage } from './catalogues.ts'
import { catalogueOf, DEFAULT_LOCALE } from './locales.ts'
import type { Message } from './message-files.ts'
import type { Templates } from './templates.ts'

type Elements = ReturnType<ReturnType<typeof compileMessage>['getAst']>
type Argument = { name: string; isNumber: boolean }

/** Of the syntax tree's types, the two that are no arguments: text, and the `#` of a plural. */
const LITERAL = 0
const POUND = 7

/**
 * What is wrong with messages of one's own: each goes before one of ours, with its arguments, and a language that we
 * have not is complete.
 */
export function checkMessages(own: readonly Message[], ours: Templates, locale: string): string[] {
  const file = `messages/${locale}.json`
  const english = catalogueOf(ours, DEFAULT_LOCALE)
  const errors = own.flatMap(({ key, text, line }) => {
    const original = english.messages.get(key)
    if (original === undefined) return `${file}:${line}: ${key}: there is no such message`
    return checkMessage(text, locale, knownArguments(key, original, english)).map(
      (error) => `${file}:${line}: ${key}: ${error}`,
    )
  })
  if (ours.locales.includes(locale)) return errors
  const given = new Set(own.map(({ key }) => key))
  const missing = [...english.messages.keys()].filter((key) => !given.has(key))
  return missing.length === 0 ? errors : [...errors, `${file}: a new language, without ${missing.join(', ')}`]
}

function checkMessage(text: string, locale: string, known: ReadonlyMap<string, boolean>): string[] {
  try {
    return messageArguments(text, locale).flatMap(({ name, isNumber }) => {
      if (!known.has(name)) return `there is no {${name}}; expected ${listArguments([...known.keys()])}`
      return isNumber && !known.get(name) ? `{${name}} is no number` : []
    })
  } catch (error) {
    return [explainSyntaxError(error)]
  }
}

/** Whether each is a number. The name of the product goes anywhere, that of the person into every mail. */
function knownArguments(key: string, original: string, { locale }: Catalogue): Map<string, boolean> {
  const known = new Map([['project', false]])
  if (key.startsWith('mail.')) known.set('name', false)
  for (const { name, isNumber } of messageArguments(original, locale)) {
    known.set(name, isNumber || known.get(name) === true)
  }
  return known
}

const listArguments = (names: readonly string[]): string => names.map((name) => `{${name}}`).join(', ')

/** @throws SyntaxError */
export const messageArguments = (text: string, locale: string): Argument[] =>
  argumentsOf(compileMessage(text, locale).getAst())

function argumentsOf(elements: Elements): Argument[] {
  return elements.flatMap((element) => {
    if (element.type === LITERAL || element.type === POUND) return []
    const isNumber = 'offset' in element || 'style' in element
    const options = 'options' in element ? Object.values(element.options) : []
    return [{ name: element.value, isNumber }, ...options.flatMap(({ value }) => argumentsOf(value))]
  })
}

/** The parser names its errors in capitals, as in EXPECT_ARGUMENT_CLOSING_BRACE. */
function explainSyntaxError(error: unknown): string {
  const { message, location } = error as SyntaxError & { location?: { start: { offset: number } } }
  const where = location ? ` at character ${location.start.offset + 1}` : ''
  return `no ICU message: ${message.toLowerCase().replaceAll('_', ' ')}${where}`
}
