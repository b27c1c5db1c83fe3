import { createInterface, type Interface } from 'node:readline'
import { Writable } from 'node:stream'
import { CommandFailure, INTERRUPTED } from './failures.ts'

/** Longer than any password may be, in bytes. */
const MAX_LINE_BYTES = 4096

/** Asks a person on a terminal, on standard error. */
export type Prompt = {
  /** @throws CommandFailure when the person gives up (Ctrl-C, Ctrl-D) */
  ask(question: string): Promise<string>
  /** The same without showing what is typed. */
  askSecretly(question: string): Promise<string>
  close(): void
}

export const isInteractive = (): boolean => process.stdin.isTTY === true

export function openPrompt(): Prompt {
  const echo = createEcho()
  const lines = createInterface({ input: process.stdin, output: echo.stream, terminal: true, historySize: 0 })
  const next = queueLines(lines)
  // At once, before the rest of what was pasted is looked at: it may be a password.
  lines.prependListener('line', () => {
    echo.isOn = false
  })
  return {
    async ask(question) {
      echo.isOn = true
      lines.setPrompt(question)
      lines.prompt()
      return next()
    },
    async askSecretly(question) {
      process.stderr.write(question)
      lines.setPrompt('')
      lines.prompt()
      try {
        return await next()
      } finally {
        process.stderr.write('\n')
      }
    },
    close: () => lines.close(),
  }
}

/** Where readline shows what is typed: standard error, while that is wanted. */
function createEcho() {
  const echo = {
    isOn: false,
    stream: new Writable({
      write(chunk, _encoding, done) {
        if (echo.isOn) process.stderr.write(chunk)
        done()
      },
    }),
  }
  return echo
}

/** Keeps lines that come before they are asked for: people paste several at once. */
function queueLines(lines: Interface): () => Promise<string> {
  const typed: string[] = []
  let waiting: PromiseWithResolvers<string> | undefined
  let ended: CommandFailure | undefined
  const end = (failure: CommandFailure) => {
    ended ??= failure
    waiting?.reject(ended)
  }
  lines.on('line', (line) => {
    if (waiting) waiting.resolve(line)
    else typed.push(line)
    waiting = undefined
  })
  lines.on('SIGINT', () => {
    end(new CommandFailure('interrupted; nothing was done', INTERRUPTED))
    lines.close()
  })
  lines.on('close', () => end(new CommandFailure('no answer was given; nothing was done')))
  return async () => {
    const line = typed.shift()
    if (line !== undefined) return line
    if (ended) throw ended
    waiting = Promise.withResolvers()
    return waiting.promise
  }
}

/**
 * The first line of standard input, without its end; what follows is left alone.
 * @throws CommandFailure when there is none, it is too long, or it is not UTF-8
 */
export async function readLine(input: NodeJS.ReadableStream = process.stdin): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of input) {
    const bytes = Buffer.from(chunk)
    const end = bytes.indexOf('\n')
    chunks.push(end < 0 ? bytes : bytes.subarray(0, end))
    size += chunks.at(-1)?.length ?? 0
    if (size > MAX_LINE_BYTES) throw new CommandFailure('The line on standard input is too long')
    if (end >= 0) break
  }
  return decodeLine(Buffer.concat(chunks))
}

function decodeLine(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r$/, '')
  } catch {
    throw new CommandFailure('The line on standard input is not UTF-8 text')
  }
}
