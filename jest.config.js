import { availableParallelism } from 'node:os'

// As src/models tells it; to a library, what Jest shows as the environment is none.
process.env.ORT_DISABLE_TELEMETRY = '1'

/** Unit, contract and property tests on the sources; `test/e2e` runs the built command. */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: [
    '/node_modules/',
    ...(process.env.FEAST_LONG ? [] : ['\\.long\\.test\\.ts$']),
    ...(process.env.FEAST_TRINO ? [] : ['\\.trino\\.test\\.ts$']),
  ],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    '^feast-node$': '<rootDir>/src/index.ts',
    '^feast-node/client$': '<rootDir>/src/client/index.ts',
  },
  transform: {
    '\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'es6' } },
    ],
  },
  testTimeout: 60_000,
  // Jest leaves one core free, of two as well; but much of the time tests wait for processes that they started.
  maxWorkers: Math.max(2, availableParallelism() - 1),
}
