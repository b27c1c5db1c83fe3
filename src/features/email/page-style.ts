import { createHash } from 'node:crypto'
import type { Brand } from './brand.ts'

const STYLE = /<style>(.*?)<\/style>/gs
/** What a page's Content-Security-Policy lets the browser run or apply nowhere. */
const FORBIDDEN = /<script\b|<style\s|<link\b|\sstyle\s*=|\son[a-z]+\s*=/i

/** What a Content-Security-Policy allows the one style of a page by (CSP Level 3 section 2.3.1), without quotes. */
export function hashStyle(html: string): string {
  const [, style = ''] = html.matchAll(STYLE).next().value ?? []
  return `sha256-${createHash('sha256').update(style).digest('base64')}`
}

const COLOR = /\{\{ *(brand_color|brand_text_color) *\}\}/g

/** The same before Liquid is loaded: the style of a page's template has colours put in, and nothing else. */
export const hashTemplateStyle = (source: string, brand: Brand): string =>
  hashStyle(source.replaceAll(COLOR, (_, name: 'brand_color' | 'brand_text_color') => brand[name]))

export const countStyles = (html: string): number => [...html.matchAll(STYLE)].length

/** The first line of a page's template that browsers would pass over, because of the Content-Security-Policy. */
export function findForbidden(source: string): { line: number; text: string } | undefined {
  const found = FORBIDDEN.exec(source)
  if (!found) return undefined
  return { line: source.slice(0, found.index + 1).split('\n').length, text: found[0].trim() }
}
