import type { Settings } from '../../core/settings.ts'
import { oneLine } from './shown.ts'

/** What every mail and page shows of who sends it, as templates know it. */
export type Brand = Readonly<{
  project_name: string
  brand_color: string
  /** Black or white: whichever can be read better on the colour, which is 4.5 to 1 at least. */
  brand_text_color: string
  logo_url: string | null
}>

const MAX_NAME = 100

export const createBrand = ({ projectName, email }: Pick<Settings, 'projectName' | 'email'>): Brand => ({
  project_name: oneLine(projectName, MAX_NAME),
  brand_color: email.brandColor,
  brand_text_color: textColorOn(email.brandColor),
  logo_url: email.brandLogoUrl ?? null,
})

/** At this luminance black and white have the same contrast (WCAG 2.2, contrast ratio). */
const EVEN_LUMINANCE = Math.sqrt(1.05 * 0.05) - 0.05

/** @param color six hexadecimal digits after `#` */
export const textColorOn = (color: string): string =>
  luminance(color) > EVEN_LUMINANCE ? '#000000' : '#ffffff'

/** WCAG 2.2, relative luminance: from 0 for black to 1 for white. */
export function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const share = Number.parseInt(color.slice(at, at + 2), 16) / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
