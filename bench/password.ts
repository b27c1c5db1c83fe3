import { createPasswords } from '../src/core/security/passwords.ts'

/** Everybody's. */
export const PASSWORD = 'correct horse battery staple'

/**
 * Its hash, with the server's parameters. Making one lowers the priority of the threads that hash in this process, so
 * those that measure a limit are given it.
 */
export const hashPassword = (): Promise<string> => createPasswords({ concurrency: 1 }).hash(PASSWORD)
