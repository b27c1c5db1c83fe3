import type { Context } from '../../context.ts'
import { SECOND, type Timestamp } from '../../core/clock.ts'
import type { Metric } from '../../core/instruments.ts'
import type { OutboxLoad } from '../email/outbox-queries.ts'

/** What stands somewhere at the moment, and is looked up when it is asked for: nothing here asks the database. */
export function readGauges(context: Context): Metric[] {
  const { passwords, database, databaseClock, outbox, feed, clock } = context
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
    {
      ...gauge(
        'postern_revocation_feed_age_seconds',
        'How long ago all revocations were known',
        Math.max(0, clock.now() - feed.polledAt()) / SECOND,
      ),
      aggregator: 'max',
    },
    ...readOutbox(outbox.load(), clock.now()),
  ]
}

/** All processes see the same outbox. */
function readOutbox({ waiting, oldestAt, givenUp }: OutboxLoad, now: Timestamp): Metric[] {
  const age = oldestAt === null ? 0 : Math.max(0, now - oldestAt) / SECOND
  const metrics = [
    gauge('postern_outbox_mails', 'Mails that wait to be sent', waiting),
    gauge('postern_outbox_oldest_seconds', 'How long the oldest of them has waited', age),
    gauge('postern_outbox_given_up', 'Mails given up within the last 30 days', givenUp),
  ]
  return metrics.map((metric) => ({ ...metric, aggregator: 'max' }))
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
