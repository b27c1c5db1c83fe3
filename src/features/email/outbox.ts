import type { Context } from '../../context.ts'
import { DAY } from '../../core/clock.ts'
import { newId, type UserId } from '../../core/ids.ts'
import { deriveKey, openWithEither, type Secrets, seal } from '../../core/security/secrets.ts'
import { deleteInBatches } from '../../database/batches.ts'
import type { Db } from '../../database/tables.ts'
import type { Mail } from './mails.ts'
import { countMails, deleteGivenUpMails, insertMail, type OutboxLoad } from './outbox-queries.ts'

/** How long those that were given up are kept, for whoever looks into it. */
const KEPT_FOR_MS = 30 * DAY
const LABEL = 'seal-outbox'

/** What a process needs to put mails into the outbox and take them out. */
export type Outbox = {
  seal(id: string, mail: Mail): string
  /** Undefined when it was sealed with another SECRET_KEY than those that are set, or altered. */
  open(id: string, sealed: string): Mail | undefined
  /** What was counted last. */
  load(): OutboxLoad
  count(db: Db): Promise<void>
}

export function createOutbox(secrets: Secrets): Outbox {
  const key = deriveKey(secrets.secretKey, LABEL)
  let counted: OutboxLoad = { waiting: 0, oldestAt: null, givenUp: 0 }
  return {
    seal: (id, mail) => seal(key, JSON.stringify(mail), id),
    open(id, sealed) {
      const opened = openWithEither(secrets, LABEL, sealed, id)
      return opened && JSON.parse(opened.plaintext)
    },
    load: () => counted,
    async count(db) {
      counted = await countMails(db)
    },
  }
}

export type QueuedMail = {
  /** Null for nobody: that costs what a mail costs, and is dropped. */
  to: string | null
  /** Whom it concerns. */
  userId: UserId | null
  /** BCP 47 */
  locale: string
  mail: Mail
}

/** Puts a mail into the outbox, in the transaction of what it tells of: it is sent when that is committed. */
export async function queueMail(
  { outbox, clock }: Pick<Context, 'outbox' | 'clock'>,
  trx: Db,
  { to, userId, locale, mail }: QueuedMail,
): Promise<void> {
  const id = newId()
  const now = clock.now()
  await insertMail(trx, {
    id,
    kind: mail.kind,
    user_id: userId,
    recipient: to,
    locale,
    sealed_data: outbox.seal(id, mail),
    created_at: now,
    next_attempt_at: now,
  })
}

/** Counts what waits, for the metrics. */
export const measureOutbox = ({ db, outbox }: Pick<Context, 'db' | 'outbox'>): Promise<void> =>
  outbox.count(db)

/** Deletes mails that were given up long ago. The signal ends it early. */
export const cleanUpOutbox = (
  { db, clock }: Pick<Context, 'db' | 'clock'>,
  signal?: AbortSignal,
): Promise<number> =>
  deleteInBatches((limit) => deleteGivenUpMails(db, clock.now() - KEPT_FOR_MS, limit), signal)
