import type { Db, User } from '../../database/tables.ts'
import { listUsers } from './queries.ts'

const PAGE_SIZE = 500

/** Every user in order of creation, a page at a time; none twice, whatever is added meanwhile. */
export async function* walkUsers(db: Db): AsyncGenerator<User[]> {
  let after: string | undefined
  do {
    const page = await listUsers(db, { after, limit: PAGE_SIZE })
    if (page.length > 0) yield page
    after = page.length === PAGE_SIZE ? page.at(-1)?.id : undefined
  } while (after !== undefined)
}
