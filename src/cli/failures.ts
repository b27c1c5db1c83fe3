import { debuglog } from 'node:util'
import { CommanderError } from 'commander'
import { Problem, StartupError } from '../core/problems.ts'
import { complain } from './output.ts'

export const FAILED = 1
export const MISUSED = 2
/** What a shell reports for a program that SIGINT ended. */
export const INTERRUPTED = 130

/** A failure of a command, told in one line. */
export class CommandFailure extends Error {
  override name = 'CommandFailure'
  readonly exitCode: number

  constructor(message: string, exitCode = FAILED) {
    super(message)
    this.exitCode = exitCode
  }
}

const debug = debuglog('postern')

/** Tells the operator what went wrong, and gives the exit code. With NODE_DEBUG=postern also where. */
export function reportFailure(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : MISUSED
  // Whoever was reading has read enough.
  if (isClosedPipe(error)) return 0
  debug('%o', error)
  complain(describe(error))
  return error instanceof CommandFailure ? error.exitCode : FAILED
}

const isClosedPipe = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'EPIPE'

function describe(error: unknown): string {
  if (error instanceof StartupError || error instanceof CommandFailure) return error.message
  if (error instanceof Problem) return describeProblem(error)
  const message = error instanceof Error ? error.message || error.name : String(error)
  return message.replaceAll(/\s*\n\s*/g, ' ')
}

function describeProblem({ code, message, errors = [], cause }: Problem): string {
  if (code === 'validation_failed') {
    return errors.map(({ pointer, detail }) => `${pointer.slice(1)} ${detail}`).join('; ')
  }
  return code === 'database_unavailable' && cause instanceof Error ? `${message} (${cause.message})` : message
}
