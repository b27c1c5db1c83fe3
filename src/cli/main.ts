import { reportFailure } from './failures.ts'
import { createProgram } from './program.ts'

/**
 * Runs one command. The exit code is 0 when it did what it was asked to, 1 when it failed, 2 when it was asked
 * in the wrong way, 130 when it was interrupted.
 */
export async function main(argv: readonly string[]): Promise<void> {
  // A reader that has gone shows where it is written to, or does not matter.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  try {
    await createProgram().parseAsync(argv)
  } catch (error) {
    process.exitCode = reportFailure(error)
  }
}
