import { inspect } from 'node:util'
import { Ajv } from 'ajv'
import type { Static, TSchema } from 'typebox'
import Type from 'typebox'

/** Not TypeBox's own check: its many modules would take a fifth of the time that the server needs to start. */
const ajv = new Ajv({ strict: true, validateSchema: false })

/** What the text of a variable may be, and the value that it stands for. */
export type Kind<T> = Readonly<{
  /** Completes "expected ...". */
  expected: string
  /** @throws InvalidValue when the text is not as expected */
  parse: (text: string) => T
}>

/** A value that is not as expected; the message never holds a secret. */
export class InvalidValue extends Error {
  override name = 'InvalidValue'
}

/** The text as a message may show it: in quotes on one line, cut, and without the credentials of a URL. */
export function quote(text: string): string {
  const shown = text.replace(/^(\w+:\/\/)?.*@/s, '$1***@')
  return inspect(shown, { maxStringLength: 80, breakLength: Number.POSITIVE_INFINITY })
}

/** The value, once it fits the schema. */
export function check<S extends TSchema>(schema: S, value: unknown, text: string): Static<S> {
  if (ajv.validate<Static<S>>(schema, value)) return value
  throw new InvalidValue(`${quote(text)} is not valid`)
}

export function integer(minimum: number, maximum: number): Kind<number> {
  const schema = Type.Integer({ minimum, maximum })
  return {
    expected: `a whole number from ${minimum} to ${maximum}`,
    parse: (text) => check(schema, /^\d+$/.test(text) ? Number(text) : text, text),
  }
}

const Fraction = Type.Number({ minimum: 0, maximum: 1 })

export function fraction(): Kind<number> {
  return {
    expected: 'a number from 0 to 1, such as 0.1',
    parse: (text) => check(Fraction, /^\d+(\.\d+)?$/.test(text) ? Number(text) : text, text),
  }
}

export function choice<const Choices extends readonly string[]>(choices: Choices): Kind<Choices[number]> {
  const schema = Type.Enum([...choices])
  return {
    expected: `one of ${choices.join(', ')}`,
    parse: (text) => check(schema, text, text) as Choices[number],
  }
}

const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false }

export function boolean(): Kind<boolean> {
  const schema = Type.Boolean()
  return {
    expected: 'true or false',
    parse: (text) => check(schema, BOOLEANS[text.toLowerCase()], text),
  }
}

/** Text that matches a pattern, read with the `u` flag. */
export function text(pattern: string, expected: string): Kind<string> {
  const schema = Type.String({ pattern })
  return { expected, parse: (given) => check(schema, given, given) }
}

/** The same for a secret, which no message shows. */
export function secretText(pattern: string, expected: string): Kind<string> {
  const expression = new RegExp(pattern, 'u')
  return {
    expected,
    parse(given) {
      if (!expression.test(given)) throw new InvalidValue('the value is not valid')
      return given
    },
  }
}
