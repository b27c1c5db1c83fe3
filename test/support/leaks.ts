import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MIN_LENGTH, TRACE_KINDS } from './traces.ts'

/** What is secret whatever its value. */
const SHAPES = {
  // Three parts of base64url, of which the first two begin as JSON objects do.
  token: /eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}/,
  'password hash': /\$(?:argon2id\$v=19\$m=\d+|2[aby]\$\d\d\$)/,
  'private key': /"d\\*":\\*"[\w-]{40,}|-----BEGIN [A-Z ]*PRIVATE KEY/,
}
const SHOWN = 20
const LINE_SHOWN = 200

export type LeakReport = { leaks: string[]; summary: string; searched: Record<string, number> }

/** Looks through what a run has collected for the secrets that it used, and for what has the shape of one. */
export async function findLeaks(folder: string): Promise<LeakReport> {
  const names = (await readdir(folder)).sort()
  const secrets = await readSecrets(folder, names)
  const find = createFinder(new Set([...secrets].flatMap(writings)))
  const searched: Record<string, number> = Object.fromEntries(TRACE_KINDS.map((kind) => [kind, 0]))
  const leaks: string[] = []
  for (const name of names) {
    const [kind = ''] = name.split('-')
    const text = await readFile(join(folder, name), 'utf8')
    searched[kind] = (searched[kind] ?? 0) + text.length
    if (kind !== 'secrets') leaks.push(...search(text, find).map((line) => `${kind}: ${line}`))
  }
  const megabytes = Object.values(searched).reduce((sum, size) => sum + size, 0) / 1e6
  const summary = `${secrets.size} secrets looked for in ${megabytes.toFixed(1)} MB of logs and events`
  return { leaks: leaks.slice(0, SHOWN), summary, searched }
}

async function readSecrets(folder: string, names: string[]): Promise<Set<string>> {
  const files = names.filter((name) => name.startsWith('secrets-'))
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))
  return new Set(texts.flatMap((text) => text.trimEnd().split('\n')).map((line) => JSON.parse(line)))
}

/** The lines, cut, that show a secret as it is or as JSON, a URL or a form would write it. */
function search(text: string, find: Find): string[] {
  const found = [...find(text)].map(([form, at]) => `"${form}" in ${lineAround(text, at)}`)
  for (const [what, shape] of Object.entries(SHAPES)) {
    const match = shape.exec(text)
    if (match) found.push(`a ${what} in ${lineAround(text, match.index)}`)
  }
  return found
}

/** Where each of the words that are in a text is first. */
type Find = (text: string) => Map<string, number>

const SLOTS = 1 << 20
/** A few characters as a number: most texts are none of a beginning that is looked for. */
const slotAt = (text: string, at: number): number =>
  ((text.charCodeAt(at) * 31 + text.charCodeAt(at + 1)) * 1021 +
    text.charCodeAt(at + 2) * 31 +
    text.charCodeAt(at + 3)) %
  SLOTS

/** Finds thousands of words, all of the least length or longer, in one walk through a text. */
function createFinder(words: ReadonlySet<string>): Find {
  const byStart = Map.groupBy(words, (word) => word.slice(0, MIN_LENGTH))
  const slots = new Uint8Array(SLOTS)
  for (const start of byStart.keys()) slots[slotAt(start, 0)] = 1
  return (text) => {
    const found = new Map<string, number>()
    for (let at = 0; at + MIN_LENGTH <= text.length; at += 1) {
      if (slots[slotAt(text, at)] !== 1) continue
      for (const word of byStart.get(text.slice(at, at + MIN_LENGTH)) ?? []) {
        if (!found.has(word) && text.startsWith(word, at)) found.set(word, at)
      }
    }
    return found
  }
}

const writings = (secret: string): string[] => {
  const encoded = encodeURIComponent(secret.toWellFormed())
  return [secret, JSON.stringify(secret).slice(1, -1), encoded, encoded.replaceAll('%20', '+')]
}

function lineAround(text: string, at: number): string {
  const start = Math.max(text.lastIndexOf('\n', at) + 1, at - LINE_SHOWN)
  const end = text.indexOf('\n', at)
  return text.slice(start, Math.min(end < 0 ? text.length : end, at + LINE_SHOWN))
}
