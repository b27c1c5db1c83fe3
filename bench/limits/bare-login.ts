import type { AddressInfo } from 'node:net'
import { verify } from '@node-rs/argon2'
import fastify from 'fastify'
import { createPasswords } from '../../src/core/security/passwords.ts'
import { answerJobs } from '../child.ts'

const PASSWORD = 'correct horse battery staple'

/** A Fastify route at `/auth/login` that verifies one password and does nothing else. Answers with its port. */
answerJobs<undefined, number>(async () => {
  const hash = await createPasswords({ concurrency: 1 }).hash(PASSWORD)
  const app = fastify()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
  app.post('/auth/login', async () => ({ matches: await verify(hash, PASSWORD) }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
})
