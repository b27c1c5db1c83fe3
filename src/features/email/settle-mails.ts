import { randomInt } from 'node:crypto'
import type { Context } from '../../context.ts'
import { DAY, HOUR, SECOND, type Timestamp } from '../../core/clock.ts'
import { recordEvent } from '../audit/events.ts'
import { mailboxUrl } from '../mailbox/mailbox.ts'
import type { Delivery } from './letter.ts'
import { type ClaimedMail, deferMail, deleteMails, giveUpMail } from './outbox-queries.ts'

const TRIED_FOR_MS = DAY
const FIRST_DELAY_MS = 30 * SECOND
const LONGEST_DELAY_MS = HOUR

export type Log = Record<'info' | 'warn', (fields: object, message: string) => void>
export type Sending = Pick<Context, 'db' | 'clock' | 'settings' | 'outbox' | 'mailer' | 'mailbox' | 'metrics'>
/** Mails that this process has taken, and until when. */
export type Batch = { mails: ClaimedMail[]; until: Timestamp }

/** Drops what is for nobody, and gives up what is too old; gives the rest. */
export async function sortOut(context: Sending, log: Log, { mails, until }: Batch): Promise<ClaimedMail[]> {
  const { db, clock } = context
  const forNobody = mails.filter(({ recipient }) => recipient === null)
  if (forNobody.length > 0) await deleteMails(db, ids(forNobody))
  const oldest = clock.now() - TRIED_FOR_MS
  const isTooOld = ({ created_at }: ClaimedMail) => created_at <= oldest
  const others = mails.filter(({ recipient }) => recipient !== null)
  for (const mail of others.filter(isTooOld)) {
    // To be taken was no try.
    const untried = { ...mail, attempts: mail.attempts - 1 }
    await giveUp(context, log, { mail: untried, until }, mail.last_error ?? 'EXPIRED')
  }
  return others.filter((mail) => !isTooOld(mail))
}

type Taken = { mail: ClaimedMail; until: Timestamp }

/** Writes down what came of a try. */
export async function settle(context: Sending, log: Log, taken: Taken, delivery: Delivery): Promise<void> {
  const { db, clock, metrics, mailbox, settings } = context
  const { id, kind, attempts, created_at } = taken.mail
  if (delivery.outcome === 'refused') return giveUp(context, log, taken, delivery.code)
  if (delivery.outcome === 'accepted') {
    await deleteMails(db, [id])
    metrics.mail(kind, 'sent')
    if (mailbox) log.info({ mail: id, kind }, `a mail is shown at ${mailboxUrl(settings, mailbox, id)}`)
    return
  }
  const delay = jitter(doubled(FIRST_DELAY_MS, attempts, LONGEST_DELAY_MS))
  const next = Math.min(clock.now() + delay, created_at + TRIED_FOR_MS)
  await deferMail(db, { id, until: taken.until }, { next_attempt_at: next, last_error: delivery.code })
  metrics.mail(kind, 'retried')
  log.info({ mail: id, kind, attempts, error: delivery.code }, 'a mail was not sent; it is tried again')
}

async function giveUp(context: Sending, log: Log, { mail, until }: Taken, error: string): Promise<void> {
  const { db, clock, metrics } = context
  const { id, kind, attempts, user_id: userId } = mail
  const now = clock.now()
  const hasGivenUp = await db.transaction().execute(async (trx) => {
    const isOurs = await giveUpMail(trx, { id, until }, { attempts, gave_up_at: now, last_error: error })
    const detail = { mail: id, kind, attempts, error }
    if (isOurs) await recordEvent(trx, now, { type: 'email.gave_up', userId: userId ?? undefined, detail })
    return isOurs
  })
  if (!hasGivenUp) return
  metrics.mail(kind, 'gave_up')
  log.warn({ mail: id, kind, attempts, error, user_id: userId }, 'a mail was given up')
}

export const ids = (mails: readonly ClaimedMail[]): string[] => mails.map(({ id }) => id)

/** The first after one failure, twice as long after each that follows. */
export const doubled = (first: number, failures: number, longest: number): number =>
  Math.min(first * 2 ** (failures - 1), longest)

/** A fifth more or less, so that what failed together does not come back together. */
export const jitter = (ms: number): number => Math.round((ms * randomInt(800, 1201)) / 1000)
