import type { AddressInfo } from 'node:net'
import fastify from 'fastify'
import { answerJobs } from '../child.ts'

export type BareFastifyJob = { body: object }

/** A Fastify route without anything around it, at `/users/me`, that returns this body. Answers with its port. */
answerJobs<BareFastifyJob, number>(async ({ body }) => {
  const app = fastify()
  app.get('/users/me', () => body)
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
})
