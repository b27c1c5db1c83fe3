import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { closest } from './closest.ts'
import { InvalidValue, quote } from './values.ts'
import { fileVariable, VARIABLE_NAMES, type VariableName } from './variables.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** The text of a variable, and where it came from as a message names it. */
export type RawValue = Readonly<{
  text: string
  label: string
  /** Of the file that a secret alone was read from. */
  path?: string
}>

export type RawSettings = {
  values: Map<VariableName, RawValue>
  /** The variables that are set, those that could not be read among them. */
  given: Set<VariableName>
  /** Files with secrets in them, as messages name them, and where they are. */
  files: { label: string; path: string }[]
  errors: string[]
  warnings: string[]
}

/** One place that variables come from; `suffix` marks it in messages. */
type Source = Readonly<{ variables: Environment; suffix: string }>

/** The URL of an SQLite database alone, of those that may be secret, never is. */
const holdsSecret = (variables: Environment): boolean =>
  VARIABLE_NAMES.some((name) => {
    const text = fileVariable(name) && variables[name]
    return Boolean(text && !/^sqlite/i.test(text))
  })

/**
 * The variables as text, from the environment and then from `.env` in the directory.
 * A secret set in the environment, in either form, hides both its forms in `.env`.
 */
export function readRawSettings(env: Environment, directory: string): RawSettings {
  const raw: RawSettings = { values: new Map(), given: new Set(), files: [], errors: [], warnings: [] }
  const collect = <T>(read: () => T): T | undefined => collectError(raw.errors, read)

  const content = collect(() => readDotenv(directory)) ?? ''
  const dotenv = parseEnv(content)
  raw.warnings.push(...warnOfUnknownKeys(dotenv), ...warnOfUnreadLines(content))
  if (holdsSecret(dotenv)) raw.files.push({ label: '.env', path: resolve(directory, '.env') })
  const sources = [
    { variables: env, suffix: '' },
    { variables: dotenv, suffix: ' (in .env)' },
  ]
  for (const name of VARIABLE_NAMES) {
    const value = collect(() => findVariable(name, sources, directory))
    if (value) raw.values.set(name, value)
    if (value?.path !== undefined) raw.files.push({ label: value.label, path: value.path })
    if (sources.some(({ variables }) => isGiven(name, variables))) raw.given.add(name)
  }
  return raw
}

/** Runs what may find a value invalid, and adds that to the errors. */
export function collectError<T>(errors: string[], run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error
    errors.push(error.message)
    return undefined
  }
}

function isGiven(name: VariableName, variables: Environment): boolean {
  const fileName = fileVariable(name)
  return Boolean(variables[name] || (fileName && variables[fileName]))
}

function readDotenv(directory: string): string {
  try {
    return readText(resolve(directory, '.env'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw new InvalidValue(`.env: ${describeFailure(error)}; expected a readable file, or none`)
  }
}

function findVariable(name: VariableName, sources: Source[], directory: string): RawValue | undefined {
  for (const source of sources) {
    const value = findIn(source, name, directory)
    if (value) return value
  }
  return undefined
}

function findIn({ variables, suffix }: Source, name: VariableName, directory: string): RawValue | undefined {
  const text = variables[name] || undefined
  const fileName = fileVariable(name)
  const file = (fileName && variables[fileName]) || undefined
  if (text && file)
    throw new InvalidValue(`${name}${suffix}: ${fileName} is set too; expected one of the two`)
  if (file) return readSecretFile(`${fileName}${suffix}`, resolve(directory, file))
  return text ? { text, label: `${name}${suffix}` } : undefined
}

/** The messages leave the path out: who mixes up the two forms has put the secret there. */
function readSecretFile(label: string, file: string): RawValue {
  try {
    const text = readText(file).replace(/\r?\n$/, '')
    if (text !== '') return { text, label, path: file }
  } catch (error) {
    throw new InvalidValue(
      `${label}: the file ${describeFailure(error)}; expected the path of a readable file`,
    )
  }
  throw new InvalidValue(`${label}: the file is empty; expected the value in it`)
}

/** The file's text without a byte order mark; bytes that are not UTF-8 are an error, not a changed secret. */
function readText(file: string): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file))
}

function describeFailure(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ERR_ENCODING_INVALID_ENCODED_DATA'
    ? 'is not UTF-8 text'
    : `cannot be read (${code ?? 'unknown'})`
}

function warnOfUnknownKeys(dotenv: Environment): string[] {
  const known = VARIABLE_NAMES.flatMap((name) => [name, fileVariable(name) ?? []].flat())
  return Object.keys(dotenv)
    .filter((key) => !known.includes(key))
    .map((key) => {
      const meant = closest(key, known)
      return `.env: ${quote(key)} is not a setting of Postern${meant ? `; did you mean ${meant}?` : ''}`
    })
}

const QUOTED_VALUE = /^([ \t]*(?:export[ \t]+)?[\w.-]+[ \t]*=[ \t]*)(["'`])[\s\S]*?\2/gm

/** `parseEnv` leaves out what it cannot read without a word. The lines may be secrets, so they go by number. */
function warnOfUnreadLines(content: string): string[] {
  const withoutQuoted = content.replace(QUOTED_VALUE, (quoted) => `=${quoted.replace(/[^\n]/g, '')}`)
  return withoutQuoted.split('\n').flatMap((line, index) => {
    const isRead = /^\s*(#|$)/.test(line) || line.includes('=')
    return isRead ? [] : [`.env: line ${index + 1} is not of the form NAME=value, and has no effect`]
  })
}
