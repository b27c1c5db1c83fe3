import { escapeHtml } from '../email/liquid-files.ts'
import type { DeliveredMail } from './mailbox.ts'

const STYLES = `body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } td, th { padding: .25rem .5rem; text-align: start }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f4f4f5; padding: 1rem }
iframe { width: 100%; height: 40rem; border: 1px solid #d4d4d8; background: #fff }`

/**
 * Nothing but what mails show: their styles are inline, and a logo comes from elsewhere. The frame with a mail inherits it.
 * @param logoUrl where there is one
 */
export function mailboxCsp(logoUrl: string | undefined): string {
  const images = logoUrl === undefined ? "'none'" : new URL(logoUrl).origin
  return `default-src 'none'; style-src 'unsafe-inline'; img-src ${images}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
}

/** Instead of the mails, for who does not know where they are. */
export const hintPage = (): string =>
  page('Mailbox', '<p>Mails may sign somebody in, so where they are is told in the log of the server alone.')

/** @param base the path of the mailbox */
export function listPage(base: string, mails: readonly DeliveredMail[]): string {
  const rows = mails.map(
    ({ id, queued_at, to, kind, subject }) =>
      `<tr><td>${escapeHtml(queued_at)}<td>${escapeHtml(to)}<td>${escapeHtml(kind)}<td dir="auto"><a href="${base}/${escapeHtml(id)}">${escapeHtml(subject)}</a>`,
  )
  const table = `<table><tr><th>When<th>To<th>Kind<th>Subject${rows.join('\n')}</table>`
  return page('Mailbox', mails.length === 0 ? '<p>No mail yet.' : table)
}

export function mailPage(
  base: string,
  { queued_at, to, kind, subject, text, html, url }: DeliveredMail,
): string {
  const link =
    url === null ? '' : `<p>Link: <a href="${escapeHtml(url)}" rel="noreferrer">${escapeHtml(url)}</a>`
  return page(
    subject,
    `<p><a href="${base}">All mails</a>
<p>To ${escapeHtml(to)}, ${escapeHtml(queued_at)} (${escapeHtml(kind)})
${link}
<h2>HTML</h2>
<iframe sandbox title="The mail in HTML" srcdoc="${escapeHtml(html)}"></iframe>
<h2>Text</h2>
<pre dir="auto">${escapeHtml(text)}</pre>`,
  )
}

const page = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>${STYLES}</style>
<h1 dir="auto">${escapeHtml(title)}</h1>
${body}
</html>
`
