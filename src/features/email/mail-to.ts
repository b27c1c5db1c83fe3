import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import type { Timestamp } from '../../core/clock.ts'
import { EMAIL_NOTICES } from '../../core/settings/email.ts'
import type { Db } from '../../database/tables.ts'
import type { IssuedToken } from '../email-tokens/tokens.ts'
import { linkTo } from './links.ts'
import { chooseLocale } from './locales.ts'
import { LINK_OF, type MailKind, type Message } from './mails.ts'
import { queueMail } from './outbox.ts'
import { canMail } from './require-mail.ts'

type MailContext = Pick<Context, 'settings' | 'clock' | 'templates' | 'outbox'>

/** Whom a mail is for. */
export type Addressee = {
  id?: string
  username: string
  email: string
  /** Null, or absent, where nobody has shown that it is theirs. */
  email_verified_at?: Timestamp | null
  locale: string | null
}

/**
 * Queues a mail in the caller's transaction, in the language of whom it is for; none where mails do not leave, or the
 * setting of notices leaves this one out. Notices go to verified addresses alone: an unverified one may be anybody's, and
 * nothing limits them.
 * @param to undefined for nobody, which costs the same
 * @param caller whose language counts where the account has none; absent where they are not whom it is for
 */
export async function mailTo(
  context: MailContext,
  trx: Db,
  to: Addressee | undefined,
  message: Message,
  caller?: Caller,
): Promise<void> {
  if (!canMail(context)) return
  const isNotice = EMAIL_NOTICES.some((notice) => notice === message.kind)
  if (isNotice && isTurnedOff(context.settings, message.kind)) return
  const recipient = isNotice && !to?.email_verified_at ? null : (to?.email ?? null)
  const locale = chooseLocale(context.templates, {
    accountLocale: to?.locale ?? undefined,
    acceptLanguage: caller?.acceptLanguage,
  })
  const mail = { ...message, username: to?.username ?? '' }
  await queueMail(context, trx, { to: recipient, userId: to?.id ?? null, locale, mail })
}

/** Whether the settings leave out this notice. */
export const isTurnedOff = ({ email }: Pick<Context['settings'], 'email'>, kind: MailKind): boolean =>
  !email.notices.some((notice) => notice === kind)

/** When it was done, and from where. */
export const deedOf = ({ clock }: Pick<Context, 'clock'>, { ip, userAgent }: Caller) => ({
  at: clock.now(),
  ip,
  userAgent,
})

/** The link and the code of a token, for a mail of that kind. */
export const proofOf = (
  { settings }: Pick<Context, 'settings'>,
  kind: keyof typeof LINK_OF,
  { token, code, expiresAt }: IssuedToken,
) => {
  // Where addresses are verified first, who verifies one has to be the account's owner as well.
  const isForOwner = kind === 'verify_email' && settings.email.requireVerification
  return { url: linkTo(settings, isForOwner ? 'confirm' : LINK_OF[kind], token), code, expiresAt }
}
