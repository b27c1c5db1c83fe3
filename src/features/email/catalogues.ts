import { createRequire } from 'node:module'
import type { IntlMessageFormat } from 'intl-messageformat'

export type MessageValues = Readonly<Record<string, string | number>>

/** The messages of one language. */
export type Catalogue = Readonly<{
  /** As in BCP 47. */
  locale: string
  direction: 'ltr' | 'rtl'
  /** By key, such as `mail.sign_in.subject`, in ICU MessageFormat. */
  messages: ReadonlyMap<string, string>
  format(key: string, values: MessageValues): string
  dateFormat(): Intl.DateTimeFormat
}>

/** What only a mail or a page needs is loaded, and compiled, with the first of them: the server starts sooner. */
const require = createRequire(import.meta.url)

/** @throws SyntaxError that says where */
export function compileMessage(message: string, locale: string): IntlMessageFormat {
  const { IntlMessageFormat: Format } = require('intl-messageformat') as typeof import('intl-messageformat')
  return new Format(message, locale, undefined, { ignoreTag: true })
}

export function createCatalogue(locale: string, messages: ReadonlyMap<string, string>): Catalogue {
  const compiled = new Map<string, IntlMessageFormat>()
  let dateFormat: Intl.DateTimeFormat | undefined
  return {
    locale,
    direction: directionOf(locale),
    messages,
    format(key, values) {
      const message = compiled.get(key) ?? compileMessage(messages.get(key) ?? missing(key, locale), locale)
      compiled.set(key, message)
      return String(message.format(values))
    },
    dateFormat() {
      dateFormat ??= new Intl.DateTimeFormat(locale, DATE_FORMAT)
      return dateFormat
    },
  }
}

const DATE_FORMAT: Intl.DateTimeFormatOptions = {
  calendar: 'gregory',
  year: 'numeric',
  month: 'long',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
  timeZone: 'UTC',
  timeZoneName: 'short',
}

const directionOf = (locale: string): Catalogue['direction'] =>
  new Intl.Locale(locale).getTextInfo().direction === 'rtl' ? 'rtl' : 'ltr'

function missing(key: string, locale: string): never {
  throw new TypeError(`there is no message ${key} in ${locale}`)
}
