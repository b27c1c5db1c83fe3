import { DAY, MINUTE, type Timestamp } from '../../core/clock.ts'
import { countMails, type OutboxLoad } from '../../features/email/outbox-queries.ts'
import { defineGroup } from '../check.ts'
import type { Scene } from '../scene.ts'

export type OutboxFacts = OutboxLoad & Readonly<{ now: Timestamp }>

const LONG_MS = 15 * MINUTE
const RECENT_MS = 7 * DAY

async function gather(scene: Scene): Promise<OutboxFacts | undefined> {
  const database = await scene.openTables()
  if (!database) return undefined
  const now = scene.clock.now()
  return { now, ...(await countMails(database.db, now - RECENT_MS)) }
}

export const outbox = defineGroup('outbox', gather, [
  {
    id: 'outbox.waiting',
    level: 'warning',
    why: 'Links and codes that people wait for do not come',
    mend: 'See what the group mail says, and that a server runs; `last_error` in the table outbox says why each was not sent',
    find({ now, waiting, oldestAt }) {
      if (oldestAt === null || now - oldestAt <= LONG_MS) return false
      return `Mails that wait: ${waiting}, the oldest for ${Math.floor((now - oldestAt) / MINUTE)} minutes`
    },
  },
  {
    id: 'outbox.given_up',
    level: 'warning',
    why: 'They are not tried again: who waits for one has to ask for another',
    mend: 'Run `postern audit export --type email.gave_up`: it says which, and why the mail server did not take them',
    find: ({ givenUp }) => givenUp > 0 && `Mails given up within a week: ${givenUp}`,
  },
])
