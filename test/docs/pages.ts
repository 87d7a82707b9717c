/** What the tests of this folder read in the pages: blocks of code, commands, headings and links. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { filesUnder, repository } from '../house/repository.ts'

export interface Block {
  readonly page: string
  /** the line of its first line of code, from 1 */
  readonly line: number
  readonly language: string
  readonly text: string
}

export const pages: readonly string[] = ['README.md', ...filesUnder('docs', '.md')]

/** The name that a block gives itself in its first line: `# count.yaml`, `// words.ts`. */
export function fileNameOf({ text }: Block): string | undefined {
  return /^(?:#|\/\/) (\S+\.\w+)\n/.exec(text)?.[1]
}

export function read(path: string): string {
  return readFileSync(join(repository, path), 'utf8')
}

export function blocksOf(page: string, language?: string): readonly Block[] {
  const text = read(page)
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .map(([, given = '', code = ''], i, all): Block => {
      const before = text.slice(0, (all[i] as RegExpMatchArray).index)
      return { page, line: before.split('\n').length + 1, language: given, text: code }
    })
    .filter((block) => language === undefined || block.language === language)
}

/** Every command line of `squall`, in blocks and in running text, as the arguments that the command would get. */
export function commandsOf(page: string): readonly (readonly string[])[] {
  const lines = read(page)
    .split('\n')
    .flatMap((line) => [line, ...[...line.matchAll(/`([^`]+)`/g)].map(([, inside = '']) => inside)])
  return lines.flatMap((line) => argvOf(line) ?? [])
}

/** The arguments in a line that begins with a command of ours; what follows a pipe, a comment or a gap is not part of it. */
export function argvOf(line: string): [readonly string[]] | undefined {
  const [, given] = /^(?:[#$] )?(?:npx squall|squall|npm start --) ((?:[a-z]+ \S|--).*?)(?: +# .*| {2,}.*)?$/.exec(line.trim()) ?? []
  if (given === undefined) return undefined
  const words = given.split(/ [|>]/)[0]?.match(/'[^']*'|\S+/g) ?? []
  const argv = words.map((word) => word.replace(/^'(.*)'$/, '$1'))
  return [line.trim().startsWith('npm start') ? ['run', 'topologies/word-count.ts', ...argv] : argv]
}

/** The anchors of a page's headings, as GitHub makes them. */
export function anchorsOf(page: string): readonly string[] {
  const prose = read(page).replace(/^```[\s\S]*?^```$/gm, '')
  return [...prose.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

export function linksOf(page: string): readonly string[] {
  const prose = read(page).replace(/^```[\s\S]*?^```$/gm, '')
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link).filter((link) => !/^[a-z]+:/.test(link))
}
