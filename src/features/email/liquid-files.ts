import { createRequire } from 'node:module'
import type { Liquid, LiquidError, Template } from 'liquidjs'

/** A Liquid file, which is parsed when it is first needed. */
export type LiquidFile = Readonly<{
  name: string
  /** @throws TemplateError */
  render(view: object): string
  /**
   * The variables that it asks for, with the line each stands on.
   * @throws TemplateError
   */
  variables(): { path: string[]; line: number }[]
}>

/** What is wrong in a Liquid file; the message names file and line. */
export class TemplateError extends Error {
  override name = 'TemplateError'
}

type Kind = 'html' | 'text'

const require = createRequire(import.meta.url)
const engines: Partial<Record<Kind, Liquid>> = {}

/** @param name ends in `.txt.liquid` for plain text; in all else, what is put in is escaped */
export function createLiquidFile(name: string, source: string): LiquidFile {
  const kind = name.endsWith('.txt.liquid') ? 'text' : 'html'
  let parsed: Template[] | undefined
  const use = <T>(work: (engine: Liquid, parsed: Template[]) => T): T => {
    try {
      const engine = getEngine(kind)
      parsed ??= engine.parse(source, name)
      return work(engine, parsed)
    } catch (error) {
      throw new TemplateError(explain(error, name), { cause: error })
    }
  }
  return {
    name,
    render: (view) => use((engine, templates) => engine.renderSync(templates, view)),
    variables: () =>
      use((engine, templates) => Object.values(engine.analyzeSync(templates, { partials: false }).globals))
        .flat()
        .map(({ segments, location }) => ({ path: segments.map(String), line: location.row })),
  }
}

function explain(error: unknown, name: string): string {
  const { message, originalError, token } = error as Partial<LiquidError>
  const text = (originalError?.message ?? message ?? String(error)).replace(/, (?:file|line|col):.*$/s, '')
  const [line] = token?.getPosition?.() ?? []
  return line === undefined ? `${name}: ${text}` : `${name}:${line}: ${text}`
}

function getEngine(kind: Kind): Liquid {
  engines[kind] ??= createEngine(kind)
  return engines[kind]
}

function createEngine(kind: Kind): Liquid {
  const { Liquid: Engine } = require('liquidjs') as typeof import('liquidjs')
  const engine = new Engine({
    strictVariables: true,
    strictFilters: true,
    ownPropertyOnly: true,
    ...(kind === 'html' && { outputEscape: escapeHtml }),
  })
  // They would read other files.
  for (const tag of ['include', 'render', 'layout']) delete engine.tags[tag]
  return engine
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '\u2068': '<bdi>',
  '\u2069': '</bdi>',
}

/** Isolates become elements, which more mail clients know: no attribute may hold them. */
export const escapeHtml = (value: unknown): string =>
  String(value ?? '').replace(/[&<>"'\u2068\u2069]/g, (character) => ENTITIES[character] ?? character)
