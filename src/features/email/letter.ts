import type { Timestamp } from '../../core/clock.ts'
import type { Mail } from './mails.ts'

/** What stands in a mail. */
export type Content = { subject: string; text: string; html: string }

/** A mail as it leaves. */
export type Letter = Content & {
  /** Of its row. The Message-ID is made of it, and stays the same when it is tried again. */
  id: string
  to: string
  createdAt: Timestamp
  mail: Mail
}

/**
 * What became of a try: taken; refused for good; put off, this mail or any. The code says why, and holds neither an address
 * nor what the server said.
 */
export type Delivery =
  | { outcome: 'accepted' }
  | { outcome: 'refused' | 'deferred' | 'unreachable'; code: string }

/** What mails leave by. */
export type Mailer = {
  /** Never throws. The signal ends it early. */
  send(letter: Letter, signal: AbortSignal): Promise<Delivery>
  close(): void
}
