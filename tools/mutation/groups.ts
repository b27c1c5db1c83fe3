/** Some files, and the tests that should notice when one of them is changed. */
export type Part = {
  /** Files that are changed. */
  mutate: string[]
  /** Files of tests, in the order they run: quick ones, and those nearest to it, first. */
  tests: string[]
  /** Where the code is the same on both, tests of one say as much. */
  database?: 'sqlite'
}

const DOCUMENT = 'test/openapi/document.test.ts'

const LOGIN_TESTS = [
  'test/features/{login,login-outcomes,audit}.test.ts',
  'test/limits/{given-back,captcha,login}.test.ts',
  'test/features/hash-queue.test.ts',
  'test/sessions/sign-in-races.test.ts',
  'test/email/{verify,notices}.test.ts',
]

/** What mutation tests are run over: each part of the code with the tests that are about it, not with all that pass through it. */
export const GROUPS: Readonly<Record<string, Readonly<Record<string, Part>>>> = {
  security: {
    tokens: {
      mutate: ['src/core/security/{algorithms,claims,jws,low-s,tokens}.ts'],
      tests: [
        'test/core/security/{token-vectors,low-s,tokens,token-secrets}.test.ts',
        'test/core/security/token-attacks-*.test.ts',
        'test/core/security/{keyring,token-differential}.test.ts',
      ],
    },
    keys: {
      mutate: ['src/core/security/{keyring,pseudonyms,secrets}.ts'],
      tests: [
        'test/core/security/{keyring,pseudonyms,secrets,tokens,token-secrets}.test.ts',
        'test/core/security/token-attacks-*.test.ts',
      ],
    },
    passwords: {
      database: 'sqlite',
      mutate: ['src/core/security/{failure-times,passwords,thread-priority,work-queue}.ts'],
      tests: [
        'test/core/{failure-times,thread-priority,work-queue,passwords}.test.ts',
        'test/features/{login,hash-queue}.test.ts',
      ],
    },
  },
  sessions: {
    rotating: {
      mutate: ['src/features/sessions/{refresh,rotation-queries,issue-tokens,liveness}.ts'],
      tests: [
        'test/features/refresh.test.ts',
        'test/sessions/{refresh,theft,lost-races,storage,rotate-together}.test.ts',
        'test/features/audit.test.ts',
        'test/sessions/{chain,races}.test.ts',
        'test/oauth/tokens.test.ts',
        'test/keys/unopened-keys.test.ts',
        'test/email/notices.test.ts',
        'test/monitoring/metrics.test.ts',
      ],
    },
    ending: {
      mutate: ['src/features/sessions/{end-sessions,ended-events,ending-queries,clean-up-sessions}.ts'],
      tests: [
        'test/features/{logout,logout-ended,sessions,audit,admin,own-account}.test.ts',
        'test/revocation/feed.test.ts',
        'test/sessions/{sign-in-races,storage,chain,races}.test.ts',
        'test/keys/rotation.test.ts',
      ],
    },
    living: {
      mutate: ['src/features/sessions/{start-session,queries,authenticate,list-sessions,router,schemas}.ts'],
      tests: [
        DOCUMENT,
        'test/features/{sessions,me,login}.test.ts',
        'test/sessions/{storage,sign-in-races,races}.test.ts',
        'test/email/notices.test.ts',
        'test/features/audit.test.ts',
        'test/keys/unopened-keys.test.ts',
      ],
    },
  },
  auth: {
    captcha: {
      database: 'sqlite',
      mutate: ['src/features/auth/captcha.ts'],
      tests: ['test/features/captcha-answers.test.ts', 'test/limits/captcha.test.ts'],
    },
    register: {
      database: 'sqlite',
      mutate: ['src/features/auth/register.ts'],
      tests: [
        'test/features/{register,names,audit}.test.ts',
        'test/monitoring/metrics.test.ts',
        'test/email/{verify,reset-password}.test.ts',
        'test/limits/login.test.ts',
      ],
    },
    logout: {
      database: 'sqlite',
      mutate: ['src/features/auth/logout.ts'],
      tests: ['test/features/{logout,logout-ended,logout-cookie,cookies,audit}.test.ts'],
    },
    routes: {
      database: 'sqlite',
      mutate: ['src/features/auth/{router,schemas}.ts'],
      tests: [
        DOCUMENT,
        'test/features/{login,register,refresh,logout,logout-cookie,cookies}.test.ts',
        'test/limits/{login,captcha}.test.ts',
        'test/email/{verify,reset-password}.test.ts',
        'test/limits/routes.test.ts',
      ],
    },
    login: {
      database: 'sqlite',
      mutate: ['src/features/auth/login.ts'],
      tests: LOGIN_TESTS,
    },
    devices: {
      database: 'sqlite',
      mutate: ['src/features/auth/{devices,standing}.ts'],
      tests: [
        'test/features/login-outcomes.test.ts',
        'test/limits/{given-back,login,captcha}.test.ts',
        'test/features/login.test.ts',
      ],
    },
    throttle: {
      database: 'sqlite',
      mutate: ['src/features/passwords/{throttle,failure-queries,try-password}.ts'],
      tests: [
        'test/limits/{failure-delays,given-back}.test.ts',
        'test/features/own-account-proof.test.ts',
        'test/email/owner-proof.test.ts',
        'test/features/login-outcomes.test.ts',
        'test/limits/login.test.ts',
      ],
    },
  },
  limits: {
    counters: {
      mutate: ['src/counters/*.ts'],
      tests: ['test/counters/{counters,redis,inspect-redis}.test.ts', 'test/doctor/services.test.ts'],
    },
    http: {
      database: 'sqlite',
      mutate: ['src/http/{limits,mail-limits,sign-in-limits}.ts'],
      tests: [
        'test/docs/limits.test.ts',
        'test/limits/{counting,table,given-back,captcha}.test.ts',
        'test/limits/{routes,at-once}.test.ts',
        'test/limits/login.test.ts',
      ],
    },
    forwarding: {
      database: 'sqlite',
      mutate: ['src/http/forwarding.ts'],
      tests: ['test/limits/{untrusted-proxy,forwarding}.test.ts'],
    },
  },
}
