import { Type } from 'typebox'
import { PROBLEMS, Problem, type ProblemCode } from '../core/problems.ts'
import type { App } from './app-type.ts'
import { problems, success } from './schemas.ts'

const Code = Type.String({ pattern: '^[a-z_]+$', maxLength: 100, examples: ['username_taken'] })

const ProblemKind = Type.Object(
  {
    code: Code,
    status: Type.Integer({ minimum: 400, maximum: 599, examples: [PROBLEMS.username_taken.status] }),
    title: Type.String({ maxLength: 255, examples: [PROBLEMS.username_taken.title] }),
    detail: Type.String({ maxLength: 255, examples: [PROBLEMS.username_taken.detail] }),
  },
  { title: 'ProblemKind' },
)

const CODES = Object.keys(PROBLEMS) as ProblemCode[]

/** What the `type` of every problem leads to (RFC 9457 section 3.1.1). */
export async function problemDocsRouter(app: App): Promise<void> {
  app.get(
    '/problems/:code',
    {
      schema: {
        operationId: 'describeProblem',
        tags: ['problems'],
        summary: 'What a kind of problem means',
        description: 'Where `type` of every problem leads.',
        params: Type.Object({ code: Type.String({ maxLength: 100, examples: ['username_taken'] }) }),
        response: { 200: success(ProblemKind, 'What it means'), ...problems('not_found') },
      },
    },
    async (request) => {
      const code = CODES.find((known) => known === request.params.code)
      if (!code) throw new Problem('not_found')
      return { code, ...PROBLEMS[code] }
    },
  )
}
