import type { Context } from '../../context.ts'
import { type Clock, DAY, HOUR, type Timestamp } from '../../core/clock.ts'
import { newId, type UserId } from '../../core/ids.ts'
import { deriveKey, open, seal } from '../../core/security/secrets.ts'
import type { Settings } from '../../core/settings.ts'
import { deleteInBatches } from '../../database/batches.ts'
import type { Db } from '../../database/tables.ts'
import type { Mail, MailKind } from './mails.ts'
import { countMails, deleteGivenUpMails, insertMail, type OutboxLoad } from './outbox-queries.ts'

/** How long those that were given up are kept, for whoever looks into it. */
const KEPT_FOR_MS = 30 * DAY

/** What a process needs to put mails into the outbox and take them out. */
export type Outbox = {
  /** Whether mails ever leave; else the operator is told, once an hour for each kind. */
  admits(kind: MailKind): boolean
  seal(id: string, mail: Mail): string
  /** Undefined when it was sealed with another SECRET_KEY than those that are set, or altered. */
  open(id: string, sealed: string): Mail | undefined
  /** What was counted last. */
  load(): OutboxLoad
  count(db: Db): Promise<void>
}

type Options = {
  clock: Clock
  /** Told what is not sent. */
  warn: (message: string) => void
}

export function createOutbox(
  { secretKey, secretKeyPrevious, email }: Pick<Settings, 'secretKey' | 'secretKeyPrevious' | 'email'>,
  { clock, warn }: Options,
): Outbox {
  const key = deriveKey(secretKey, 'seal-outbox')
  const previousKey =
    secretKeyPrevious === undefined ? undefined : deriveKey(secretKeyPrevious, 'seal-outbox')
  const toldAt = new Map<MailKind, Timestamp>()
  let counted: OutboxLoad = { waiting: 0, oldestAt: null, givenUp: 0 }
  return {
    admits(kind) {
      if (email.transport.kind !== 'none') return true
      const now = clock.now()
      if (now - (toldAt.get(kind) ?? Number.NEGATIVE_INFINITY) < HOUR) return false
      toldAt.set(kind, now)
      warn(`SMTP_URL is not set, so that mails (${kind}) are not sent`)
      return false
    },
    seal: (id, mail) => seal(key, JSON.stringify(mail), id),
    open(id, sealed) {
      const text = open(key, sealed, id) ?? (previousKey && open(previousKey, sealed, id))
      return text === undefined ? undefined : JSON.parse(text)
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
  if (!outbox.admits(mail.kind)) return
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
