#!/usr/bin/env node
/**
 * The command `squall`: hands the arguments to lib/cli and does nothing else.
 *
 * An installed package carries its build. A checkout does not, so there the build is brought up to date first;
 * that is silent and takes a few milliseconds when nothing has changed.
 */
import { existsSync } from 'node:fs'
import { requireNode } from './node-version.js'

requireNode()

const ready = new URL('../scripts/ready.js', import.meta.url)
if (existsSync(ready)) {
  const { makeReady } = await import(ready.href)
  if (!(await makeReady())) process.exit(1)
}

const { main } = await import('../dist/joined/cli/main.js')
process.exitCode = await main(process.argv.slice(2))
