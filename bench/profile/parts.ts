import type { Profiler } from 'node:inspector'

export type Part = { name: string; ms: number }

const IDLE = '(idle)'
const BESIDE = new Map([
  ['(garbage collector)', 'garbage collection'],
  ['(program)', 'V8 and the system'],
])

/** The nearest caller that one of these matches decides; what is Node's own alone belongs to HTTP. */
const PARTS: [RegExp, string][] = [
  [/\/core\/security\/(passwords|work-queue|failure-times)/, 'handing passwords to the threads that hash'],
  [/\/core\/security\//, 'tokens: signing and verifying'],
  [/commit .*\/sqlite-shared-transaction/, 'database: waiting for the commit'],
  [/\/src\/database\/(?!sqlite-connection)|\/node_modules\/(kysely|pg|pg-\w+)\//, 'database: statements'],
  [/\/request-log|\/node_modules\/(pino|sonic-boom)\//, 'the log'],
  [/\/src\/(features|core|http)\//, "rules, headers, replies: Postern's own"],
  [/\/bench\/profile\//, 'the profile itself'],
]
const HTTP = 'HTTP: Fastify, node:http, sockets'

/** What the event loop's time went to, in parts and in functions; the most first. */
export function divide(profile: Profiler.Profile): { parts: Part[]; functions: Part[]; busyMs: number } {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const parents = new Map(
    profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])),
  )
  const parts = new Map<string, number>()
  const functions = new Map<string, number>()
  const add = (sums: Map<string, number>, name: string, ms: number) =>
    sums.set(name, (sums.get(name) ?? 0) + ms)

  const frameOf = (id: number) => nodes.get(id)?.callFrame ?? { functionName: '', url: '', lineNumber: 0 }
  const partOf = (leaf: number): string => {
    for (let id: number | undefined = leaf; id !== undefined; id = parents.get(id)) {
      const { functionName, url } = frameOf(id)
      const part = PARTS.find(([pattern]) => pattern.test(`${functionName} ${url}`))
      if (part) return part[1]
      if (url.includes('/node_modules/')) return HTTP
    }
    return HTTP
  }
  let busyMs = 0
  for (const [index, id] of (profile.samples ?? []).entries()) {
    const ms = (profile.timeDeltas?.[index] ?? 0) / 1000
    const { functionName, url, lineNumber } = frameOf(id)
    if (functionName === IDLE) continue
    busyMs += ms
    add(parts, BESIDE.get(functionName) ?? partOf(id), ms)
    const where = url === '' ? '' : ` ${url.replace(/^.*\/(?=src\/|node_modules\/)/, '')}:${lineNumber + 1}`
    add(functions, `${functionName || '(anonymous)'}${where}`, ms)
  }
  return { parts: ranked(parts), functions: ranked(functions), busyMs }
}

const ranked = (sums: Map<string, number>): Part[] =>
  [...sums].map(([name, ms]) => ({ name, ms })).sort((a, b) => b.ms - a.ms)
