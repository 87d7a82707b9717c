/** Links between the pages, and what the pages must speak of. */
import { existsSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { expect, test } from 'vitest'
import { settings } from '../../lib/config.ts'
import * as library from '../../lib/index.ts'
import { graphSvg } from '../../lib/topology/graph-svg.ts'
import { planTopology } from '../../lib/topology/plan.ts'
import { filesUnder, repository } from '../house/repository.ts'
import { anchorsOf, linksOf, pages, read } from './pages.ts'

test.each(pages)('%s links to what is there', (page) => {
  const broken = linksOf(page).filter((link) => {
    const [path = '', anchor] = link.split('#')
    const target = path === '' ? page : posix.normalize(posix.join(dirname(page), path))
    return !existsSync(join(repository, target)) || (anchor !== undefined && !anchorsOf(target).includes(anchor))
  })
  expect(broken).toEqual([])
})

test('the files that docs/ARCHITECTURE.md leads to are there', () => {
  const files = ['lib', 'test'].flatMap((folder) => filesUnder(folder, '.ts'))
  const named = [...read('docs/ARCHITECTURE.md').matchAll(/`([\w./-]+\.ts|[\w-]+\/)`/g)].map(([, name = '']) => name)
  expect(named.length).toBeGreaterThan(50)
  expect(
    named.filter((name) => !files.some((file) => `/${file}`.includes(`/${name}`)) && !existsSync(join(repository, 'docs', name))),
  ).toEqual([])
})

test('docs/API.md and docs/STREAMS.md speak of everything that lib/index.ts exports', () => {
  const types = [...read('lib/index.ts').matchAll(/export type \{([^}]*)\}/g)].flatMap(([, names = '']) => names.match(/\w+/g) ?? [])
  const page = read('docs/API.md') + read('docs/STREAMS.md')
  expect([...Object.keys(library), ...types].filter((name) => !new RegExp(`\\b${name}\\b`).test(page))).toEqual([])
})

/** After a change of lib/config.ts: `npx vitest run test/docs/pages.test.ts --update` writes the table again. */
test('the table of settings in docs/API.md is that of lib/config.ts', async () => {
  const page = read('docs/API.md').replace(/(?<=^<!-- settings:.*\n)[\s\S]*?(?=^<!-- end of settings)/m, () => `\n${settingsTable()}\n`)
  expect(page).toContain(settingsTable())
  await expect(page).toMatchFileSnapshot(join(repository, 'docs', 'API.md'))
})

/** After a change of the picture: `npx vitest run test/docs/pages.test.ts --update` draws it again. */
test('the picture in README.md is what squall graph draws', async () => {
  const { default: wordCount } = await import('../../topologies/word-count.ts')
  const picture = graphSvg(planTopology(wordCount.draft({})))
  await expect(picture).toMatchFileSnapshot(join(repository, 'docs', 'images', 'word-count.svg'))
})

function settingsTable(): string {
  const kinds = { boolean: 'yes or no', count: 'a number', number: 'a number', durationMs: 'a duration', bytes: 'bytes', choice: '' }
  const rows = Object.entries(settings as Readonly<Record<string, Setting>>).map(
    ([key, { type, choices, doc, perComponent, storm, ...setting }]) => [
      `\`${key}\``,
      choices?.map((choice) => `\`${choice}\``).join(' or ') ?? kinds[type],
      `\`${setting.default}\``,
      perComponent === true ? 'yes' : '',
      storm === undefined ? '' : `\`${storm}\``,
      doc.charAt(0).toUpperCase() + doc.slice(1),
    ],
  )
  const head = ['Setting', 'Is', 'Default', 'Per component', "Storm's name", 'Means']
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

interface Setting {
  readonly type: 'boolean' | 'count' | 'number' | 'durationMs' | 'bytes' | 'choice'
  readonly choices?: readonly string[]
  readonly default: boolean | number | string
  readonly perComponent?: boolean
  readonly storm?: string
  readonly doc: string
}
