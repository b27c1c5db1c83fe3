import type { AddressInfo } from 'node:net'
import * as argon2 from '@node-rs/argon2'
import fastify from 'fastify'
import { answerJobs } from '../child.ts'
import { PASSWORD } from '../password.ts'

export type BareLoginJob = { hash: string }

/** A Fastify route at `/auth/login` that verifies this hash and does nothing else. Answers with its port. */
answerJobs<BareLoginJob, number>(async ({ hash }) => {
  const app = fastify()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
  app.post('/auth/login', async () => ({ matches: await argon2.verify(hash, PASSWORD) }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
})
