import { foldForms } from '../../core/fold-case.ts'
import { CONTEXT_WORD_MIN_LENGTH } from '../../core/settings/context-words.ts'

/** How much of a password has to be left without the context words in it. */
const LEAST_REST = 8

/** What everybody knows of every Postern. */
const BUILT_IN = ['postern', 'admin', 'administrator', 'superuser']

/**
 * Whether the password has words in it that a guesser knows beforehand, and too little else.
 * @param texts what the words come from: names of the service, of the user, local parts of addresses
 */
export function isMadeOfContextWords(password: string, texts: readonly string[]): boolean {
  const folded = foldForms(password)
  const rest = folded.replace(matchAny(contextWords([...BUILT_IN, ...texts])), '')
  return rest !== folded && [...rest].length < LEAST_REST
}

/** Each text whole, its letters and digits run together, and each of its parts, as far as they are long enough. */
function contextWords(texts: readonly string[]): string[] {
  const words = texts.map(foldForms).flatMap((text) => {
    const parts = text.split(/[^\p{L}\p{M}\p{N}]+/u)
    return [text, parts.join(''), ...parts]
  })
  return words.filter((word) => [...word].length >= CONTEXT_WORD_MIN_LENGTH)
}

/** The longest first, so that no part of a longer one is left over. */
function matchAny(words: string[]): RegExp {
  const longestFirst = words.toSorted((one, other) => other.length - one.length)
  return new RegExp(longestFirst.map((word) => RegExp.escape(word)).join('|'), 'gu')
}
