import { countActiveSuperusers } from '../../features/users/queries.ts'
import { defineGroup } from '../check.ts'
import type { Scene } from '../scene.ts'

export type AccountsFacts = Readonly<{ superusers: number }>

const MANY = 10

async function gather(scene: Scene): Promise<AccountsFacts | undefined> {
  const database = await scene.openTables()
  return database && { superusers: await countActiveSuperusers(database.db) }
}

export const accounts = defineGroup('accounts', gather, [
  {
    id: 'accounts.superuser',
    level: 'warning',
    why: 'Nobody can use what is for superusers alone',
    mend: 'Run `postern users promote NAME`, or `enable NAME` for one who is disabled, or `create --superuser`',
    find: ({ superusers }) => superusers === 0 && 'There is no superuser who can sign in',
  },
  {
    id: 'accounts.superusers',
    level: 'info',
    why: 'Each of their passwords opens everything',
    mend: 'Look through `postern users list`, and demote those who need it no more: `postern users demote NAME`',
    find: ({ superusers }) => superusers > MANY && `There are ${superusers} superusers who can sign in`,
  },
])
