/**
 * Holds docs/ERRORS.md and the table of lib/errors.ts together: the page is made from the table, here.
 *
 * After a change of the table: `npm run errors-page` writes the page again.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { errorTable } from '../../lib/errors.ts'
import { filesUnder, repository } from './repository.ts'

test('docs/ERRORS.md lists the codes of lib/errors.ts with their texts', async () => {
  await expect(page()).toMatchFileSnapshot(join(repository, 'docs', 'ERRORS.md'))
})

test('each error has one line of text, a remedy, and a code in kebab-case', () => {
  for (const [code, { what, help, yaml = help }] of Object.entries(errorTable)) {
    expect(code).toMatch(/^[a-z]+(-[a-z0-9]+)*$/)
    for (const text of [what, help, yaml]) expect(text, code).toMatch(/^\S(.*\S)?$/)
  }
})

test('the errors of bin/ and scripts/ are on the page, and are not codes of the table', () => {
  const sources = [...filesUnder('bin', '.js'), ...filesUnder('scripts', '.js')]
    .map((file) => readFileSync(join(repository, file), 'utf8'))
    .join('\n')
  const codes = [...sources.matchAll(/error\[([a-z-]+)\]|new Failure\(\s*'([a-z-]+)'/g)].map(([, printed, thrown]) => printed ?? thrown)
  expect(new Set(codes)).toEqual(new Set(Object.keys(beforeTheStart)))
  for (const code of Object.keys(beforeTheStart)) expect(errorTable).not.toHaveProperty(code)
})

/** Printed by plain scripts before anything of lib/ can be loaded, hence not in its table. */
const beforeTheStart = {
  'node-version': 'this Node is older than the oldest that Squall runs on. Install a newer one.',
  'install-failed': 'in a checkout: `npm ci` did not succeed. Its own words stand above; often it is the network.',
  'build-failed': "in a checkout: the compiler found faults in the sources. It lists them above the error's line.",
  'not-writable': 'in a checkout: `dist/` cannot be written. Check the permissions of the folder.',
}

function page(): string {
  const entries = Object.entries(errorTable).map(
    ([code, { what, help, yaml }]) =>
      `## ${code}\n\n- **What:** ${what}\n- **Help:** ${help}\n${yaml === undefined ? '' : `- **Help in YAML:** ${yaml}\n`}`,
  )
  return `# Errors

<!-- Made from lib/errors.ts by \`npm run errors-page\`; a test compares the two. Do not edit by hand. -->

An error of the user's making is printed on stderr with its code, its place where there is one, and a remedy:

\`\`\`
error[code]: what is wrong
  at file:line:column, topology, component, stream, field
help: the remedy
\`\`\`

Faults that are found together are printed together. A \`{name}\` below stands for what the error is about. A fault of Squall itself
is not here: it fails an assertion, with a stack trace, and wants a bug report.

${entries.join('\n')}
## Before the start

These come from the scripts that start Squall:

${Object.entries(beforeTheStart)
  .map(([code, text]) => `- \`${code}\`: ${text}\n`)
  .join('')}`
}
