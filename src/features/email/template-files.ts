import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** What templates are made from: Liquid by the name of its file, and messages by language and key. */
export type Sources = Readonly<{
  files: ReadonlyMap<string, string>
  messages: ReadonlyMap<string, ReadonlyMap<string, string>>
}>

export const TEMPLATE_FILES = ['mail.html.liquid', 'mail.txt.liquid', 'page.liquid']
export const PAGE_FILE = 'page.liquid'
const MAX_BYTES = 2 ** 18

/** What is wrong with a file, and on which line where it is one. */
export class FileError extends Error {
  override name = 'FileError'
  readonly line: number | undefined

  constructor(message: string, line?: number) {
    super(message)
    this.line = line
  }
}

/** Those of Postern: read at start, so that a broken installation does not pass unnoticed. */
export function readOurSources(): Sources {
  const read = (name: string) => readText(join(import.meta.dirname, name))
  return {
    files: new Map(TEMPLATE_FILES.map((name) => [name, read(`templates/${name}`)])),
    messages: new Map(
      listNames(join(import.meta.dirname, 'messages')).map((name) => [
        name.replace('.json', ''),
        new Map(flatten(JSON.parse(read(`messages/${name}`)))),
      ]),
    ),
  }
}

type Nested = { [key: string]: string | Nested }

const flatten = (nested: Nested, path = ''): [key: string, text: string][] =>
  Object.entries(nested).flatMap(([name, value]) =>
    typeof value === 'string' ? [[path + name, value]] : flatten(value, `${path}${name}.`),
  )

/** What begins with a dot is for tools: of editors, and of Kubernetes where it mounts a ConfigMap. */
export const listNames = (directory: string): string[] =>
  readdirSync(directory)
    .filter((name) => !name.startsWith('.'))
    .sort()

/**
 * The text of a file, with lines that end as HTML has them.
 * @throws FileError
 */
export function readText(file: string): string {
  const stats = statSync(file)
  if (!stats.isFile()) throw new FileError('it is no file')
  if (stats.size > MAX_BYTES) throw new FileError(`it has ${stats.size} bytes; expected at most ${MAX_BYTES}`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file)).replaceAll(/\r\n?/g, '\n')
  } catch (error) {
    if (error instanceof TypeError) throw new FileError('it is not UTF-8')
    throw error
  }
}
