/** Text of others on its way to a terminal or a log: a log line, a name, the words of an error may hold what a terminal would obey. */

const colour = '\\u001b\\[[\\d;]*m'
/** Control characters, line separators, and what turns the direction of writing. */
const obeyed = '[\\p{Cc}\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]'
const obeyedOrColour = new RegExp(`${colour}|${obeyed}`, 'gu')
const anyObeyed = new RegExp(obeyed, 'gu')

/** Lines, tabs and colours stay; all else that a terminal would obey is shown as what it is: `\u001b`. */
export function printable(text: string): string {
  return text.replace(obeyedOrColour, (found) => (found === '\n' || found === '\t' || found.endsWith('m') ? found : escaped(found)))
}

/** As `printable`, on one line and without colours: nobody can write a second one. */
export function printableLine(text: string): string {
  return text.replace(anyObeyed, escaped)
}

function escaped(one: string): string {
  if (one === '\n') return '\\n'
  return `\\u${(one.codePointAt(0) as number).toString(16).padStart(4, '0')}`
}
