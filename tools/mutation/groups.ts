export type Group = {
  /** Files that are changed. */
  mutate: string[]
  /** Files of tests that should notice, in the order they run: quick ones, and those nearest to it, first. */
  tests: string[]
  /** Where the code is the same on both, tests of one say as much. */
  database?: 'sqlite'
}

/** What mutation tests are run over: each part of the code with the tests that are about it, not with all that pass through it. */
export const GROUPS: Readonly<Record<string, Group>> = {
  security: {
    mutate: ['src/core/security/*.ts'],
    tests: [
      'test/core/security/token-vectors.test.ts',
      'test/core/{failure-times,thread-priority,work-queue,passwords}.test.ts',
      'test/core/security/{keyring,secrets,tokens,token-secrets}.test.ts',
      'test/core/security/token-attacks-*.test.ts',
      'test/features/{refresh,login}.test.ts',
      'test/core/security/token-differential.test.ts',
      'test/features/hash-queue.test.ts',
    ],
  },
  sessions: {
    mutate: ['src/features/sessions/*.ts'],
    tests: [
      'test/openapi/document.test.ts',
      'test/sessions/{refresh,theft,storage,chain,lost-races,races,rotate-together,sign-in-races}.test.ts',
      'test/features/{sessions,refresh,logout,logout-ended,logout-cookie,me,admin,audit,own-account}.test.ts',
      'test/email/notices.test.ts',
      'test/monitoring/metrics.test.ts',
    ],
  },
  auth: {
    database: 'sqlite',
    mutate: ['src/features/auth/*.ts', 'src/features/passwords/{throttle,failure-queries}.ts'],
    tests: [
      'test/openapi/document.test.ts',
      'test/features/{login,register,logout,logout-cookie,cookies,refresh,hash-queue,audit,names,own-account-proof}.test.ts',
      'test/limits/{captcha,table}.test.ts',
      'test/email/{verify,notices}.test.ts',
      'test/limits/login.test.ts',
    ],
  },
  limits: {
    mutate: ['src/http/{limits,mail-limits,sign-in-limits,forwarding}.ts', 'src/counters/*.ts'],
    tests: [
      'test/docs/limits.test.ts',
      'test/counters/counters.test.ts',
      'test/limits/{table,forwarding,captcha}.test.ts',
      'test/doctor/services.test.ts',
      'test/email/reset-password.test.ts',
      'test/limits/login.test.ts',
    ],
  },
}
