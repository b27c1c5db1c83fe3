import type { EmailLink } from '../../core/settings/email.ts'
import type { Settings } from '../../core/settings.ts'

/** Postern's own pages, behind PUBLIC_URL. */
export const PAGE_PATHS: Readonly<Record<EmailLink, string>> = {
  confirm: '/email/confirm',
  verify: '/email/verify',
  reset: '/email/reset',
  undo: '/email/undo',
  sign_in: '/email/sign-in',
}

/** Where a link in a mail points to. The `Host` of a request has no say in it. */
export const linkTo = (
  { publicUrl, email }: Pick<Settings, 'publicUrl' | 'email'>,
  link: EmailLink,
  token: string,
): string =>
  email.linkUrls[link]?.replace('{token}', token) ?? `${publicUrl}${PAGE_PATHS[link]}?token=${token}`
