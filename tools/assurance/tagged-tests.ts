import { globSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { ROOT } from './requirements.ts'

/** A test whose title has ids of requirements in brackets, as its file has it written. */
export type TaggedTest = {
  /** From the root of the checkout. */
  file: string
  ids: string[]
  /** Without the ids, and with … where the title takes something in. */
  title: string
  /** Fits the titles under which it runs. */
  pattern: RegExp
}

/** A test as the runner tells of it. */
export type RunTest = { file: string; name: string }

/** `[V6.2.4]`, `[V6.2.4, NIST63B-blocklist]` */
const TAG = /\[((?:V\d+|[A-Z][A-Za-z\d]*)[.-][\w.-]+(?:, ?[A-Z][\w.-]+)*)\] ?/g
const LITERAL = /'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`/g
const COMMENT = /^\s*(\/\/|\/?\*)/
const PLACEHOLDER = /\$\{(?:[^{}]|\{[^{}]*\})*\}/g

/** Every tagged test in the files, in their order. */
export function findTaggedTests(): TaggedTest[] {
  const files = globSync('test/**/*.test.ts', { cwd: ROOT }).sort()
  return files.flatMap((file) => readTaggedTests(file, readFileSync(resolve(ROOT, file), 'utf8')))
}

/** The same of one file. A title stands on one line, as the formatter leaves it. */
export function readTaggedTests(file: string, code: string): TaggedTest[] {
  const lines = code.split('\n').filter((line) => !COMMENT.test(line))
  const literals = lines.flatMap((line) => line.match(LITERAL) ?? [])
  return literals.filter((literal) => tagsOf(literal).length > 0).map((literal) => toTest(file, literal))
}

/** The ids in a title. */
export const tagsOf = (title: string): string[] =>
  [...title.matchAll(TAG)].flatMap(([, ids = '']) => ids.split(/, ?/))

function toTest(file: string, literal: string): TaggedTest {
  const text = literal.slice(1, -1).replaceAll(/\\(['"`\\])/g, '$1')
  const parts = literal.startsWith('`') ? text.split(PLACEHOLDER) : [text]
  return {
    file,
    ids: tagsOf(text),
    title: parts.join('…').replaceAll(TAG, '').trim(),
    pattern: new RegExp(`^${parts.map((part) => RegExp.escape(part)).join('.*')}$`, 's'),
  }
}

/**
 * Holds what is written against what has run.
 * @returns a line for each tagged test that did not run, and for each that ran under a title that no file has written
 */
export function compareWithRun(tagged: readonly TaggedTest[], ran: readonly RunTest[]): string[] {
  const fits = (test: TaggedTest, { file, name }: RunTest) => test.file === file && test.pattern.test(name)
  const idle = tagged.filter((test) => !ran.some((run) => fits(test, run)))
  const strangers = ran.filter(
    (run) => tagsOf(run.name).length > 0 && !tagged.some((test) => fits(test, run)),
  )
  return [
    ...idle.map(({ file, ids, title }) => `${file}: claims ${ids.join(', ')}, but did not run: ${title}`),
    ...strangers.map(({ file, name }) => `${file}: ran, but its title is not to be found there: ${name}`),
  ]
}
