import { MINUTE, SECOND, type Timestamp } from '../../core/clock.ts'
import type { Content, Delivery } from './letter.ts'
import type { Mail } from './mails.ts'
import { type ClaimedMail, claimMails, findDueMail, releaseMails } from './outbox-queries.ts'
import { type Batch, doubled, ids, jitter, type Log, type Sending, settle, sortOut } from './settle-mails.ts'
import { CONNECTIONS, SEND_WITHIN_MS } from './smtp.ts'

/** Few, so that nodes share them, and none is taken for longer than it takes to send. */
const BATCH = 4 * CONNECTIONS
/** Nobody begins to send later than this after taking a mail. */
const BEGIN_WITHIN_MS = 30 * SECOND
/** No try goes on for longer: whoever crashes leaves the mail to be taken again then. */
const TAKEN_FOR_MS = BEGIN_WITHIN_MS + SEND_WITHIN_MS + 30 * SECOND

/** How long a server that cannot be used is left alone: so no more than one mail a time learns that it is so still. */
const FIRST_REST_MS = 5 * SECOND
const LONGEST_REST_MS = 5 * MINUTE

/** What is nearly sent when the process stops shall not be sent twice. */
const STOP_WITHIN_MS = 2 * SECOND

/** Gives the mail in a language. */
export type Render = (mail: Mail, locale: string) => Content

/**
 * Gives a function that sends what is due, whichever node has queued it: at least once, and twice only where a process ends,
 * or the database fails, between the server's word and the deletion. It waits for the server as long as it takes; nothing
 * else does. The signal ends it within two seconds.
 */
export function createMailSender(
  context: Sending,
  log: Log,
  render: Render,
): (signal: AbortSignal) => Promise<void> {
  const { db, clock, outbox, mailer } = context
  /** How often in a row the server could not be used. */
  let failures = 0
  let restsUntil: Timestamp = 0

  async function sendDue(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && clock.now() >= restsUntil) {
      if (!(await findDueMail(db, { now: clock.now() }))) return
      const now = clock.now()
      const until = now + TAKEN_FOR_MS
      const taken = await claimMails(db, { now, until, limit: BATCH })
      if (taken.length === 0) return
      const mails = await sortOut(context, log, { mails: taken, until })
      if (mails.length > 0) await sendBatch({ mails, until }, signal)
    }
  }

  /** Several at once; while the server cannot be used one alone, so that the others keep their place. */
  async function sendBatch({ mails, until }: Batch, signal: AbortSignal): Promise<void> {
    const stopping = delayAbort(signal, STOP_WITHIN_MS)
    const endsAt = performance.now() + BEGIN_WITHIN_MS
    let fault: string | undefined
    let hasAccepted = false
    const takeNext = () => {
      const mayBegin = !signal.aborted && fault === undefined && performance.now() < endsAt
      return mayBegin ? mails.shift() : undefined
    }
    const sendOneByOne = async () => {
      for (let mail = takeNext(); mail; mail = takeNext()) {
        const delivery = await deliver(mail, stopping.signal)
        if (delivery.outcome === 'unreachable') fault = delivery.code
        if (delivery.outcome === 'accepted') hasAccepted = true
        await settle(context, log, { mail, until }, delivery)
      }
    }
    const lanes = Array.from({ length: failures > 0 ? 1 : CONNECTIONS }, sendOneByOne)
    const ends = await Promise.allSettled(lanes)
    stopping.end()
    if (mails.length > 0) await releaseMails(db, ids(mails), until)
    // What takes one mail can be used, however slow it is with another.
    if (!signal.aborted) keepCount(hasAccepted ? undefined : fault)
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }

  async function deliver(stored: ClaimedMail, signal: AbortSignal): Promise<Delivery> {
    const { id, recipient, sealed_data, created_at: createdAt, locale } = stored
    const mail = outbox.open(id, sealed_data ?? '')
    // While SECRET_KEY is being changed, another node may have the new one already.
    if (!mail) return { outcome: 'deferred', code: 'SECRET_KEY' }
    const content = tryToRender(mail, locale)
    if (!content) return { outcome: 'deferred', code: 'TEMPLATE' }
    return mailer.send({ id, to: recipient ?? '', createdAt, mail, ...content }, signal)
  }

  /** What a template throws could hold what it was given. */
  function tryToRender(mail: Mail, locale: string): Content | undefined {
    try {
      return render(mail, locale)
    } catch {
      return undefined
    }
  }

  /** @param fault why the server cannot be used */
  function keepCount(fault: string | undefined): void {
    failures = fault === undefined ? 0 : failures + 1
    if (failures === 0) return
    restsUntil = clock.now() + jitter(doubled(FIRST_REST_MS, failures, LONGEST_REST_MS))
    if (failures > 1) return
    log.warn({ error: fault }, 'the mail server cannot be used; mails wait, and are tried again')
  }

  return sendDue
}

/** A signal that comes some time after another. */
function delayAbort(signal: AbortSignal, ms: number): { signal: AbortSignal; end(): void } {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const onAbort = () => {
    timer = setTimeout(() => controller.abort(), ms)
  }
  signal.addEventListener('abort', onAbort, { once: true })
  return {
    signal: controller.signal,
    end() {
      signal.removeEventListener('abort', onAbort)
      clearTimeout(timer)
    },
  }
}
