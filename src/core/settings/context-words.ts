import { InvalidValue, type Kind, quote } from './values.ts'

/** A shorter word turns up in passwords by accident. */
export const CONTEXT_WORD_MIN_LENGTH = 4
const MAX_LENGTH = 64
const MAX_WORDS = 100

/** What a password must not be made of. */
export const contextWords: Kind<readonly string[]> = {
  expected: `at most ${MAX_WORDS} words of ${CONTEXT_WORD_MIN_LENGTH} to ${MAX_LENGTH} characters, with commas between them`,
  parse(text) {
    const items = text.split(',').map((item) => item.trim())
    const words = [...new Set(items.filter((item) => item !== ''))]
    if (words.length > MAX_WORDS) throw new InvalidValue(`there are ${words.length} words`)
    for (const word of words) {
      const { length } = [...word]
      if (length < CONTEXT_WORD_MIN_LENGTH) throw new InvalidValue(`${quote(word)} is too short`)
      if (length > MAX_LENGTH) throw new InvalidValue(`${quote(word)} is too long`)
    }
    return words
  },
}
