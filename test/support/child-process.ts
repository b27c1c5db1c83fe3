import { fileVariable, VARIABLE_NAMES } from '../../src/core/settings/variables.ts'
import { keepTrace } from './traces.ts'

export type Env = Readonly<Record<string, string>>

/** What the test runner sets for its own processes, and what would change the output of ours: under CI Node shows no colours. */
const OF_THE_RUNNER = [
  'NODE_TEST_CONTEXT',
  'FORCE_COLOR',
  'NO_COLOR',
  'NODE_DISABLE_COLORS',
  'CI',
  'NODE_DEBUG',
]

/** Ours without Postern's settings: what is left is PATH, TMPDIR, coverage and the like. */
export function inheritedEnvironment(): NodeJS.ProcessEnv {
  const env = { ...process.env }
  for (const name of VARIABLE_NAMES) {
    delete env[name]
    delete env[fileVariable(name) ?? name]
  }
  for (const name of OF_THE_RUNNER) delete env[name]
  return env
}

/** Keeps what a stream gives; the function tells what came so far. */
export function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = []
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream?.once('close', () => keepTrace('output', Buffer.concat(chunks).toString()))
  return () => Buffer.concat(chunks).toString()
}
