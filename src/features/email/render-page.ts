import type { Catalogue } from './catalogues.ts'
import { catalogueOf } from './locales.ts'
import { type Page, TONES } from './pages.ts'
import { isolate, paragraphsOf, withoutIsolates } from './shown.ts'
import { PAGE_FILE } from './template-files.ts'
import type { Templates } from './templates.ts'

/** The HTML of a page, which asks for nothing but its logo, and runs nothing. */
export function renderPage(templates: Templates, page: Page, locale: string): string {
  const view = describePage(templates, page, catalogueOf(templates, locale))
  return templates.file(PAGE_FILE).render(view)
}

/** What `page.liquid` may show. */
export function describePage({ brand }: Templates, page: Page, catalogue: Catalogue) {
  const project = isolate(catalogue, brand.project_name)
  const say = (key: string, values = {}) =>
    catalogue.format(`page.${page.kind}.${key}`, { project, ...values })
  const heading = say('heading')
  return {
    ...brand,
    kind: page.kind,
    locale: catalogue.locale,
    dir: catalogue.direction,
    title: `${withoutIsolates(heading)} · ${brand.project_name}`,
    heading,
    paragraphs: paragraphsOf(say('text')),
    tone: 'action' in page ? null : TONES[page.kind],
    form: 'action' in page ? describeForm(page, say) : null,
  }
}

type Say = (key: string, values?: { minimum: number }) => string

function describeForm(page: Extract<Page, { action: string }>, say: Say) {
  return {
    action: withoutIsolates(page.action),
    hidden: Object.entries(page.hidden).map(([name, value]) => ({
      name: withoutIsolates(name),
      value: withoutIsolates(value),
    })),
    button: say('button'),
    password: describePassword(page, say),
  }
}

function describePassword(page: Extract<Page, { action: string }>, say: Say) {
  if (page.kind === 'reset') return describeNewPassword(page, say)
  if (page.kind !== 'confirm') return null
  return {
    name: 'password',
    autocomplete: 'current-password',
    label: say('label'),
    hint: null,
    min_length: 1,
    refused: page.isRefused ? say('refused') : null,
    refusals: [],
  }
}

const describeNewPassword = ({ minLength, refusals = [] }: Extract<Page, { kind: 'reset' }>, say: Say) => ({
  name: 'new_password',
  autocomplete: 'new-password',
  label: say('label'),
  hint: say('hint', { minimum: minLength }),
  min_length: minLength,
  refused: refusals.length > 0 ? say('refused') : null,
  refusals: refusals.map((refusal) => say(`refused_${refusal}`)),
})
