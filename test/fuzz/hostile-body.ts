import fc from 'fast-check'
import type { Described } from '../support/openapi.ts'
import { text } from './hostile-texts.ts'

const nested = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth)

/** A JSON text in place of a field's value. */
const wrongJson = (): fc.Arbitrary<string> =>
  fc.oneof(
    text().map((value) => JSON.stringify(value)),
    fc.jsonValue({ maxDepth: 3, noUnicodeString: false }).map((value) => JSON.stringify(value)),
    fc.constantFrom(
      'null',
      'true',
      '0',
      '-0',
      '1e400',
      '9007199254740993',
      '[]',
      '{}',
      '[["a"]]',
      '{"$ne":1}',
    ),
    fc.constantFrom('{"__proto__":{"a":1}}', '{"constructor":{"prototype":{"a":1}}}', '{"toString":1}'),
    fc.integer({ min: 10, max: 6000 }).map((depth) => nested(depth, '[', ']')),
    fc.constant(nested(2000, '{"a":', '1').replace(/1+$/, '1') + '}'.repeat(2000)),
  )

type Field = [name: string, jsonValue: string]

const extraField = (): fc.Arbitrary<Field> =>
  fc.tuple(
    fc.constantFrom('is_superuser', 'is_active', 'id', '__proto__', 'constructor', '', 'a\0', 'scope', 'ſ'),
    wrongJson(),
  )

/** The fields of a valid body, of which some are left out, made wrong, doubled or joined by others. */
function mutatedFields({ operation }: Described): fc.Arbitrary<Field[]> {
  const example = (operation.requestBody?.content['application/json']?.example ?? {}) as Record<
    string,
    unknown
  >
  const fields = Object.entries(example).map(([name, value]) => {
    const valid = name === 'refresh_token' ? '{refresh_token}' : value
    return fc.oneof(
      { weight: 6, arbitrary: fc.constant<Field[]>([[name, JSON.stringify(valid)]]) },
      { weight: 4, arbitrary: wrongJson().map((json): Field[] => [[name, json]]) },
      { weight: 1, arbitrary: fc.constant<Field[]>([]) },
      {
        weight: 1,
        arbitrary: wrongJson().map((json): Field[] => [
          [name, JSON.stringify(valid)],
          [name, json],
        ]),
      },
    )
  })
  const extra = fc.oneof(
    { weight: 3, arbitrary: fc.constant<Field[]>([]) },
    { weight: 1, arbitrary: extraField().map((field): Field[] => [field]) },
  )
  return fc.tuple(...fields, extra).map((parts) => parts.flat())
}

const asJson = (fields: Field[]): string =>
  `{${fields.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`

const asForm = (fields: Field[]): string =>
  fields.map(([name, json]) => `${encodeLoosely(name)}=${encodeLoosely(unquote(json))}`).join('&')

const unquote = (json: string): string => (json.startsWith('"') ? String(JSON.parse(json)) : json)

/** Percent-encodes what it can; lone surrogates, which have no encoding, become what they are in WTF-8. */
const encodeLoosely = (value: string): string =>
  value.isWellFormed()
    ? encodeURIComponent(value).replaceAll(/%7B(access|refresh)_token%7D/g, '{$1_token}')
    : '%ED%A0%80'

const FORM = 'application/x-www-form-urlencoded'
const JSON_TYPE = 'application/json'

export type HostileBody = { body: string | undefined; type: string | undefined }

/** A body for the operation: its fields mutated, as JSON or as a form, or something else altogether. */
export function hostileBody(described: Described): fc.Arbitrary<HostileBody> {
  const fields = mutatedFields(described)
  const takesBody = described.operation.requestBody !== undefined
  return fc.oneof(
    {
      weight: takesBody ? 10 : 1,
      arbitrary: fields.map((f): HostileBody => ({ body: asJson(f), type: JSON_TYPE })),
    },
    {
      weight: takesBody ? 6 : 1,
      arbitrary: fields.map((f): HostileBody => ({ body: asForm(f), type: FORM })),
    },
    { weight: takesBody ? 2 : 8, arbitrary: fc.constant<HostileBody>({ body: undefined, type: undefined }) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom(JSON_TYPE, FORM, 'text/plain')
        .map((type): HostileBody => ({ body: '', type })),
    },
    { weight: 1, arbitrary: wrongJson().map((body): HostileBody => ({ body, type: JSON_TYPE })) },
    {
      weight: 2,
      arbitrary: fc.record({
        body: fc.oneof(
          fc.constantFrom(
            '{',
            '{"a":',
            '\ufeff{}',
            '{}{}',
            "{'a':1}",
            '{"a":1,}',
            '&&==&',
            '%',
            'a=%ZZ',
            '\x80\xff',
          ),
          fc.string({ unit: 'binary', maxLength: 200 }),
          fc.integer({ min: 60_000, max: 70_000 }).map((length) => `"${'a'.repeat(length)}"`),
        ),
        type: fc.constantFrom(JSON_TYPE, FORM, undefined),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        body: fields.map(asJson),
        type: fc.constantFrom(
          'text/plain',
          'multipart/form-data; boundary=x',
          'application/xml',
          'application/json; charset=utf-16',
          'application/JSON;charset=UTF-8',
          'application/problem+json',
          '*/*',
          'x',
          '',
          ';',
          'application/json, text/plain',
          `${JSON_TYPE};${'a'.repeat(3000)}`,
        ),
      }),
    },
  )
}
