import { isIP } from 'node:net'
import { isLoopback } from '../../core/settings/addresses.ts'
import type { CheckedSettings } from '../../core/settings.ts'
import { domainOf, probeSmtp, type SmtpFault } from '../../features/email/smtp.ts'
import { byGathering, defineGroup, Unusable } from '../check.ts'
import type { Scene } from '../scene.ts'

export type MailFacts = Readonly<{
  /** Of SMTP_URL, without its credentials. */
  host: string
  fault: SmtpFault | undefined
  /** Whether anybody between the two can read what is sent. */
  isInTheClear: boolean
  /** Of EMAIL_FROM. */
  domain: string
  publicUrl: string
  /** Where links lead. */
  links: readonly string[]
}>

/** What no name on the Internet ends in (RFC 6761, RFC 6762, RFC 8375). */
const PRIVATE = /(?:^|\.)(?:localhost|local|internal|home\.arpa|test|example|invalid)$/

async function gather(scene: Scene): Promise<MailFacts> {
  const { email, publicUrl } = scene.settings()
  const { transport } = email
  if (transport.kind === 'mailbox') {
    throw new Unusable(
      'mail.set_up',
      'SMTP_URL is not set: mails are shown to whoever knows where, which the log of the server tells',
    )
  }
  if (transport.kind === 'none') throw new Unusable('mail.leaves', 'SMTP_URL is not set: no mail is sent')
  const { host, hostname, protocol } = new URL(transport.url)
  const isEncrypted = protocol === 'smtps:' || transport.requireStartTls
  return {
    host,
    fault: await probeSmtp(transport),
    isInTheClear: !isEncrypted && !isLoopback(hostname),
    domain: domainOf(email.from.address).toLowerCase(),
    publicUrl,
    links: linksOf(email, publicUrl),
  }
}

/** Postern's own pages, but where every link has a page of the application. */
function linksOf({ linkUrls }: CheckedSettings['email'], publicUrl: string): string[] {
  const urls = Object.values(linkUrls)
  return [...(urls.length < LINKS ? [publicUrl] : []), ...urls]
}

const LINKS = 5

const isPublicName = (domain: string): boolean =>
  domain.includes('.') && isIP(domain) === 0 && !PRIVATE.test(domain)

/** Whether both names have their last two parts in common. */
const areRelated = (one: string, other: string): boolean =>
  one.split('.').slice(-2).join('.') === other.split('.').slice(-2).join('.')

const NOT_SENT = 'Mails wait, and are given up after a day'

export const mail = defineGroup('mail', gather, [
  byGathering({
    id: 'mail.set_up',
    level: 'info',
    why: 'Whoever reads them there has to be on this machine: it is for developers',
    mend: 'Set SMTP_URL to your mail server before other people use this one',
  }),
  byGathering({
    id: 'mail.leaves',
    level: 'warning',
    why: 'Addresses are not verified, who has forgotten the password has no way back by themselves, and nobody is told what happens to their account',
    mend: 'Set SMTP_URL to your mail server',
  }),
  {
    id: 'mail.reachable',
    level: 'error',
    why: NOT_SENT,
    mend: 'See that the mail server runs, that SMTP_URL has its host and port (587, or 465 with smtps://), and that this machine may connect to it',
    find: ({ host, fault }) => fault?.kind === 'unreachable' && `${host} cannot be used (${fault.code})`,
  },
  {
    id: 'mail.tls',
    level: 'error',
    why: `${NOT_SENT}: nothing is sent in the clear`,
    mend: 'Let the mail server offer STARTTLS, or use smtps:// in SMTP_URL where it speaks TLS from the start; SMTP_STARTTLS=false is for a network of your own',
    find: ({ host, fault }) => fault?.kind === 'tls' && `There is no TLS with ${host} (${fault.code})`,
  },
  {
    id: 'mail.certificate',
    level: 'error',
    why: `${NOT_SENT}: anybody could pass for the mail server`,
    mend: 'Get a certificate for the host in SMTP_URL from a public authority; one of your own is known by NODE_EXTRA_CA_CERTS',
    find: ({ host, fault }) =>
      fault?.kind === 'certificate' && `The certificate of ${host} is not accepted (${fault.code})`,
  },
  {
    id: 'mail.login',
    level: 'error',
    why: NOT_SENT,
    mend: 'Set user and password in SMTP_URL, with what a URL cannot hold encoded (%40 for @)',
    find: ({ host, fault }) => fault?.kind === 'login' && `${host} refuses the login (${fault.code})`,
  },
  {
    id: 'mail.encryption',
    level: 'warning',
    why: 'Whoever is between the two reads the links by which passwords are set, and the password of the mail server',
    mend: 'Remove SMTP_STARTTLS, unless both are alone on a network of their own',
    find: ({ host, isInTheClear }) => isInTheClear && `Mails go to ${host} in the clear`,
  },
  {
    id: 'mail.from',
    level: 'warning',
    why: 'Mail servers refuse what comes from a domain that there is not, or drop it',
    mend: 'Set EMAIL_FROM to an address at a domain of your own, whose SPF and DKIM records name the mail server',
    find: ({ domain }) => !isPublicName(domain) && `Mails are from an address at ${domain}`,
  },
  {
    id: 'mail.from_domain',
    level: 'info',
    why: 'People take a mail for forged that comes from another name than the one they know',
    mend: 'Set EMAIL_FROM to an address at the domain of PUBLIC_URL, unless people know the other as well',
    find({ domain, publicUrl }) {
      const { hostname } = new URL(publicUrl)
      if (!isPublicName(domain) || !isPublicName(hostname) || areRelated(domain, hostname)) return false
      return `Mails are from ${domain}, and PUBLIC_URL is at ${hostname}`
    },
  },
  {
    id: 'mail.links',
    level: 'warning',
    why: 'Such a link leads nowhere from where the mail is read, or can be read on the way by who then sets the password',
    mend: 'Set PUBLIC_URL, or the EMAIL_LINK_URL that it is, to the https address at which people reach it',
    find: ({ links }) =>
      links.filter((link) => !link.startsWith('https:')).map((link) => `Links in mails lead to ${link}`),
  },
])
