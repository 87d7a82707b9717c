import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig({
  resolve: {
    // Tests and example topologies import the package by its name and get the sources.
    alias: [
      { find: /^squall$/, replacement: here('./lib/index.ts') },
      { find: /^squall\/testing$/, replacement: here('./lib/testing/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    // no test is timed: this only ends one that hangs, on however slow a machine
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Type tests say what must not compile; they are checked by the compiler and never run.
    typecheck: { enabled: true, include: ['test/types/**/*.test-d.ts'], tsconfig: './tsconfig.json' },
  },
})
