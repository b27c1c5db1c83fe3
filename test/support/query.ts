import { Client } from 'pg'

export type Row = Record<string, unknown>

/** Runs SQL on a PostgreSQL server over a connection of its own. */
export async function query(url: string, statement: string): Promise<Row[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Row>(statement)).rows
  } finally {
    await client.end()
  }
}
