import { isGenuineHead } from '../../features/audit/chain.ts'
import { findChainKey } from '../../features/audit/chain-key.ts'
import { findChain, findEventAbove } from '../../features/audit/chain-queries.ts'
import { defineGroup } from '../check.ts'
import type { Scene } from '../scene.ts'
import { getSecrets } from '../secrets.ts'

export type AuditFacts = Readonly<{
  /** Whether SECRET_KEY opens the key of the chain. */
  hasKey: boolean
  /** The row that says where the chain ends; a missing one belongs to a chain that no server has begun yet. */
  head: 'genuine' | 'forged' | 'missing' | 'unknown'
}>

async function gather(scene: Scene): Promise<AuditFacts | undefined> {
  const settings = scene.settings()
  const database = await scene.openTables()
  if (!database) return undefined
  const { db } = database
  const chain = await findChain(db)
  if (!chain) return (await findEventAbove(db, 0)) && { hasKey: true, head: 'missing' }
  const key = await findChainKey(db, getSecrets(settings))
  if (!key) return { hasKey: false, head: 'unknown' }
  return { hasKey: true, head: isGenuineHead(key, chain) ? 'genuine' : 'forged' }
}

/** Whether every event stands is for `postern audit verify` to say, which takes longer. */
export const audit = defineGroup('audit', gather, [
  {
    id: 'audit.key',
    level: 'error',
    why: 'No event is sealed, so that nobody would notice if some were changed or removed',
    mend: 'Set the SECRET_KEY that it was sealed with, at least as SECRET_KEY_PREVIOUS (docs/deployment.md)',
    find: ({ hasKey }) =>
      !hasKey && 'The key of the audit log was sealed with another SECRET_KEY, or was altered',
  },
  {
    id: 'audit.head',
    level: 'error',
    why: 'Somebody has written to the database who is no server, and no more events are sealed',
    mend: 'Run `postern audit verify`, and look into who could write there (docs/audit.md)',
    find({ head }) {
      if (head === 'missing') return 'The row that says where the audit log ends is gone'
      return head === 'forged' && 'The row that says where the audit log ends was not written by a server'
    },
  },
])
