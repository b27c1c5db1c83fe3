import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import addFormats from 'ajv-formats'
import type { FastifyError } from 'fastify'
import { UUID } from '../core/ids.ts'
import type { FieldError } from '../core/problems.ts'
import type { App } from './app-type.ts'

const OPTIONS = { allErrors: true, removeAdditional: false, useDefaults: true } as const

/** Checks input against the routes' schemas. Bodies are taken as they are; only a query's text becomes a number. */
export function registerValidation(app: App): void {
  const strict = new Ajv({ ...OPTIONS, coerceTypes: false })
  // The text `1e400` becomes Infinity, which Ajv would compare with no bound if it held that for no number.
  const coercing = new Ajv({ ...OPTIONS, coerceTypes: true, strictNumbers: false })
  for (const ajv of [strict, coercing]) {
    addFormats.default(ajv, ['password', 'date-time'])
    // Not that of ajv-formats, which takes `urn:uuid:` as well.
    ajv.addFormat('uuid', UUID)
  }
  app.setValidatorCompiler(({ schema, httpPart }) =>
    compileWhenUsed(httpPart === 'querystring' ? coercing : strict, schema as object),
  )
}

/** Compiling every schema at start would take a third of the time until the server listens. */
function compileWhenUsed(ajv: Ajv, schema: object): FastifyValidator {
  let compiled: ValidateFunction | undefined
  const validate: FastifyValidator = (data) => {
    compiled ??= ajv.compile(schema)
    const isValid = compiled(data)
    validate.errors = compiled.errors ?? null
    return isValid
  }
  return validate
}

/** What Fastify calls, and then asks for the errors. */
type FastifyValidator = { (data: unknown): boolean; errors?: ErrorObject[] | null }

/** Enough for any form; a body may have thousands of unknown fields. */
export const MAX_FIELD_ERRORS = 100

/** The invalid fields of a failed validation; never their values. */
export function validationErrors({ validation, validationContext }: FastifyError): FieldError[] {
  const errors = (validation ?? []) as unknown as ErrorObject[]
  return errors.slice(0, MAX_FIELD_ERRORS).map(({ instancePath, message, params, keyword }) => {
    const { missingProperty, additionalProperty } = params as Record<string, string | undefined>
    const field = missingProperty ?? additionalProperty
    return {
      pointer: field === undefined ? instancePath : `${instancePath}/${escapePointer(field)}`,
      detail: DETAILS[keyword] ?? message ?? `not valid in ${validationContext}`,
    }
  })
}

const DETAILS: Record<string, string> = {
  required: 'is missing',
  additionalProperties: 'is not known here',
}

/** RFC 6901 section 3. */
const escapePointer = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1')
