import type { Catalogue } from './catalogues.ts'
import type { Templates } from './templates.ts'

export const DEFAULT_LOCALE = 'en'

/** As much of a header, and of its ranges, as is looked at. */
const MAX_LENGTH = 1000
const MAX_RANGES = 30
/** One language and its weight (RFC 9110 sections 12.4.2 and 12.5.4). */
const RANGE = /^\s*(\*|[a-z]{1,8}(?:-[a-z0-9]{1,8})*)\s*(?:;\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?$/i

/** The language for somebody: what the account says, else what the browser asks for, else English. */
export function chooseLocale(
  templates: Pick<Templates, 'locales'>,
  {
    accountLocale,
    acceptLanguage,
  }: { accountLocale?: string | null | undefined; acceptLanguage?: string | undefined },
): string {
  const { locales } = templates
  const ranges = [...(accountLocale ? [accountLocale] : []), ...languageRanges(acceptLanguage)]
  for (const range of ranges) {
    const found = range === '*' ? DEFAULT_LOCALE : lookUpLocale(locales, range)
    if (found !== undefined) return found
  }
  return DEFAULT_LOCALE
}

/** What there is for a language range (RFC 4647 section 3.4): `de` for `de-AT`. */
export function lookUpLocale(locales: readonly string[], range: string): string | undefined {
  const subtags = range.slice(0, MAX_LENGTH).toLowerCase().split('-')
  while (subtags.length > 0) {
    const tag = subtags.join('-')
    const found = locales.find((locale) => locale.toLowerCase() === tag)
    if (found !== undefined) return found
    subtags.pop()
    // What stood behind a single letter goes with it.
    if (subtags.at(-1)?.length === 1) subtags.pop()
  }
  return undefined
}

/** The messages for a language, or for what it falls back to: there may have been more when a mail was queued. */
export function catalogueOf({ locales, catalogues }: Templates, locale: string): Catalogue {
  const catalogue = catalogues.get(lookUpLocale(locales, locale) ?? DEFAULT_LOCALE)
  if (!catalogue) throw new TypeError(`there are no messages in ${DEFAULT_LOCALE}`)
  return catalogue
}

/** What an `Accept-Language` header asks for, the most wanted first; what is malformed is passed over. */
function languageRanges(header = ''): string[] {
  return header
    .slice(0, MAX_LENGTH)
    .split(',', MAX_RANGES)
    .flatMap((item) => {
      const [, range, weight = '1'] = RANGE.exec(item) ?? []
      return range === undefined || Number(weight) === 0 ? [] : { range, weight: Number(weight) }
    })
    .sort((one, other) => other.weight - one.weight)
    .map(({ range }) => range)
}
