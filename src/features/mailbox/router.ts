import type { IncomingHttpHeaders } from 'node:http'
import type { Context } from '../../context.ts'
import { Problem } from '../../core/problems.ts'
import { isSameSecret } from '../../core/security/secrets.ts'
import { isLoopback } from '../../core/settings/addresses.ts'
import type { App } from '../../http/app-type.ts'
import { MAILBOX_PATH } from './mailbox.ts'
import { hintPage, listPage, mailboxCsp, mailPage } from './page.ts'

/** Whatever a proxy may add: more than is looked for in every request. */
const PROXY_HEADERS = /^(?:forwarded|via|x-forwarded-.*|x-real-ip|.*-connecting-ip|true-client-ip)$/

/** Shows a developer the mails of a server on their own machine; there are no such addresses on any other. */
export async function mailboxRouter(app: App, { mailbox, settings }: Context): Promise<void> {
  if (!mailbox) return
  const pageHeaders = {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': mailboxCsp(settings.email.brandLogoUrl),
  }
  const hidden = { schema: { hide: true } } as const
  // A page of a foreign name that resolves to this machine, or a tunnel to it, would read mails otherwise.
  app.addHook('onRequest', async ({ headers }) => {
    if (!isFromThisMachine(headers)) throw new Problem('not_found')
  })

  const requireKey = (key: string): void => {
    if (!isSameSecret(key, mailbox.key)) throw new Problem('not_found')
  }
  const base = `${MAILBOX_PATH}/${mailbox.key}`

  app.get(MAILBOX_PATH, hidden, (_request, reply) => reply.headers(pageHeaders).send(hintPage()))

  app.get<{ Params: { key: string } }>(`${MAILBOX_PATH}/:key`, hidden, async ({ headers, params }, reply) => {
    requireKey(params.key)
    const mails = mailbox.list()
    return wantsJson(headers) ? { mails } : reply.headers(pageHeaders).send(listPage(base, mails))
  })

  app.get<{ Params: { key: string; id: string } }>(
    `${MAILBOX_PATH}/:key/:id`,
    hidden,
    async ({ headers, params }, reply) => {
      requireKey(params.key)
      const mail = mailbox.find(params.id)
      if (!mail) throw new Problem('not_found')
      return wantsJson(headers) ? mail : reply.headers(pageHeaders).send(mailPage(base, mail))
    },
  )
}

function isFromThisMachine(headers: IncomingHttpHeaders): boolean {
  const url = URL.parse(`http://${headers.host}`)
  const isForwarded = Object.keys(headers).some((name) => PROXY_HEADERS.test(name))
  return url !== null && isLoopback(url.hostname) && !isForwarded
}

const wantsJson = ({ accept = '' }: IncomingHttpHeaders): boolean =>
  accept.includes('application/json') && !accept.includes('text/html')
