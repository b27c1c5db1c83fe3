import type { User } from '../../database/tables.ts'
import { walkUsers } from '../../features/users/list-users.ts'
import { toProfile } from '../../features/users/profile.ts'
import { withTables } from '../open.ts'
import { formatRow, print, visible } from '../output.ts'

const HEADINGS = ['ID', 'USERNAME', 'E-MAIL', 'CREATED', 'NOTES']

/** Prints every user as they come out of the database: a table, or a JSON array with `json`. */
export function listUsers({ json }: { json?: boolean }): Promise<void> {
  return withTables(({ db }) => (json ? printArray(walkUsers(db)) : printTable(walkUsers(db))))
}

async function printArray(pages: AsyncIterable<User[]>): Promise<void> {
  let separator = '[\n'
  for await (const page of pages) {
    await print(separator + page.map((user) => `  ${JSON.stringify(toProfile(user))}`).join(',\n'))
    separator = ',\n'
  }
  await print(separator === '[\n' ? '[]\n' : '\n]\n')
}

async function printTable(pages: AsyncIterable<User[]>): Promise<void> {
  let widths = HEADINGS.map((heading) => heading.length)
  let heading: string[][] = [HEADINGS]
  for await (const page of pages) {
    const rows = [...heading, ...page.map(toCells)]
    widths = widths.map((width, column) => Math.max(width, ...rows.map((row) => row[column]?.length ?? 0)))
    await print(rows.map((row) => formatRow(row, widths)).join(''))
    heading = []
  }
  if (heading.length > 0) await print(formatRow(HEADINGS, widths))
}

function toCells({ id, username, email, created_at, is_active, is_superuser }: User): string[] {
  const notes = [...(is_superuser ? ['superuser'] : []), ...(is_active ? [] : ['disabled'])]
  return [
    id,
    visible(username),
    visible(email),
    new Date(created_at).toISOString().slice(0, 10),
    notes.join(', '),
  ]
}
