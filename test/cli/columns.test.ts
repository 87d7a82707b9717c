import { expect, test } from 'vitest'
import { columnLines } from '../../lib/cli/columns.ts'

const columns = [
  { title: 'topology', cell: ({ name }: { name: string }) => name },
  { title: 'workers', isNumber: true, cell: () => '12' },
]
const rows = [{ name: 'words' }, { name: 'a-name-that-says-all-there-is-to-say-of-it' }]

test('names that leave no room for figures are shortened in their middle', () => {
  expect(columnLines(columns, rows, 30)).toEqual([
    'topology               workers',
    'words                       12',
    'a-name-tha…-say-of-it       12',
  ])
})

test('they stay as they are where there is room, and long enough to be told apart where there is none', () => {
  expect(columnLines(columns, rows, 51)[2]).toBe('a-name-that-says-all-there-is-to-say-of-it       12')
  expect(columnLines(columns, rows, 5)[2]).toBe('a-name…of-it       12')
})
