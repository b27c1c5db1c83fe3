import type { Migration } from 'kysely/migration'
import * as initial from './001-initial.ts'
import * as auditChain from './002-audit-chain.ts'
import * as limits from './003-limits.ts'
import * as email from './004-email.ts'
import * as keysAndRevocations from './005-keys-and-revocations.ts'

/** Every migration in order. One that has been released is never changed: add the next. */
export const migrations: Record<string, Migration> = {
  '001-initial': initial,
  '002-audit-chain': auditChain,
  '003-limits': limits,
  '004-email': email,
  '005-keys-and-revocations': keysAndRevocations,
}
