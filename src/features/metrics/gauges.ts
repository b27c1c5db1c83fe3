import type { Context } from '../../context.ts'
import { SECOND } from '../../core/clock.ts'
import type { Metric } from '../../core/instruments.ts'

/** What stands somewhere at the moment, and is looked up when it is asked for: nothing here asks the database. */
export function readGauges({ passwords, database, databaseClock }: Context): Metric[] {
  const { running, waiting, refused } = passwords.load()
  const load = database.load()
  const disagreement = databaseClock.disagreementMs() / SECOND
  return [
    gauge('postern_hash_queue_running', 'Passwords that are being hashed', running),
    gauge('postern_hash_queue_waiting', 'Passwords that wait to be hashed', waiting),
    {
      ...gauge('postern_hash_queue_refused_total', 'Passwords refused because too many waited', refused),
      type: 'counter',
    },
    gauge('postern_database_waiting', 'Requests that wait for a connection, or to write', load.waiting),
    ...(load.connections ? readPool(load.connections) : []),
    {
      ...gauge('postern_clock_disagreement_seconds', 'Between this node and the database', disagreement),
      aggregator: 'max',
    },
  ]
}

function readPool({ inUse, idle, max }: { inUse: number; idle: number; max: number }): Metric[] {
  return [
    {
      ...gauge('postern_database_pool_connections', 'Connections to PostgreSQL, by state', 0),
      values: [
        { labels: { state: 'in_use' }, value: inUse },
        { labels: { state: 'idle' }, value: idle },
      ],
    },
    gauge('postern_database_pool_max_connections', 'Connections to PostgreSQL at most', max),
  ]
}

const gauge = (name: string, help: string, value: number): Metric => ({
  name,
  help,
  type: 'gauge',
  aggregator: 'sum',
  values: [{ labels: {}, value }],
})
