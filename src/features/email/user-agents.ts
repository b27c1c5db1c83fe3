/** What a `User-Agent` says, in the words of people. */
export type Device = { program: string | undefined; system: string | undefined }

/** The first that fits counts: most browsers also say that they are others. */
const BROWSERS: readonly (readonly [mark: RegExp, name: string])[] = [
  [/\bEdg(?:e|A|iOS)?\//, 'Microsoft Edge'],
  [/\bOPR\/|\bOpera\b/, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\bVivaldi\//, 'Vivaldi'],
  [/\bYaBrowser\//, 'Yandex Browser'],
  [/\bDuckDuckGo\/|\bDdg\//, 'DuckDuckGo'],
  [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/\b(?:Chrome|Chromium|CriOS)\//, 'Chrome'],
  [/\bVersion\/.*\bSafari\//, 'Safari'],
]

const SYSTEMS: readonly (readonly [mark: RegExp, name: string])[] = [
  [/\biPhone\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bWindows\b/, 'Windows'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bMac(?:intosh| OS X)\b/, 'macOS'],
  [/\bLinux\b|\bX11\b/, 'Linux'],
]

/** The first product of RFC 9110 section 10.1.5, as far as no link can be made of it. */
const PRODUCT = /^(?!Mozilla\b)([A-Za-z][\w-]{0,39})(?:[/ ]|$)/

const MAX_LENGTH = 500

/** Which program and system a client says that it is: from our own lists, or the bare name of a program. */
export function findDevice(userAgent: string): Device {
  const text = userAgent.slice(0, MAX_LENGTH)
  const named = (list: typeof BROWSERS) => list.find(([mark]) => mark.test(text))?.[1]
  const product = PRODUCT.exec(text)?.[1]
  return { program: product ?? named(BROWSERS), system: named(SYSTEMS) }
}
