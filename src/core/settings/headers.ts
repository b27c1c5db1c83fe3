import { validateHeaderName, validateHeaderValue } from 'node:http'
import { InvalidValue, type Kind } from './values.ts'

const MIN_LENGTH = 32
/** RFC 6750 section 2.1. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/

/** A bearer token that somebody else will present; nothing of it is ever shown. */
export const bearer: Kind<string> = {
  expected: `at least ${MIN_LENGTH} letters, digits and - . _ ~ + / (postern secret generate makes them)`,
  parse(text) {
    if (text.length < MIN_LENGTH) throw new InvalidValue(`the value has ${text.length} characters, too few`)
    if (!TOKEN.test(text)) throw new InvalidValue('the value has characters that no bearer token may have')
    return text
  },
}

/** Headers as OpenTelemetry writes them: `name=value,name=value`, values percent-encoded. */
export const headers: Kind<Readonly<Record<string, string>>> = {
  expected: 'name=value with commas between them, values percent-encoded',
  parse(text) {
    const items = text.split(',').map((item) => item.trim())
    return Object.freeze(Object.fromEntries(items.filter((item) => item !== '').map(parseHeader)))
  },
}

function parseHeader(item: string): [string, string] {
  const end = item.indexOf('=')
  try {
    const name = item.slice(0, end).trim()
    const value = decodeURIComponent(item.slice(end + 1).trim())
    validateHeaderName(name)
    validateHeaderValue(name, value)
    if (end > 0) return [name.toLowerCase(), value]
  } catch {
    // What was wrong with it might show the secret.
  }
  throw new InvalidValue('the value is not a list of headers')
}
