/** Small arithmetic expressions in cases, such as `numElements/20*1000` or `rate > 0`. */

export type Variables = Readonly<Record<string, number>>

/** The value of an expression: numbers, variables, `+ - * / % ( )`; `undefined` when it is none. */
export function valueOf(text: string, variables: Variables): number | undefined {
  const tokens = text.match(/\d+(?:\.\d+)?|[A-Za-z_]\w*|[-+*/%()]/g) ?? []
  if (tokens.join('') !== text.replace(/\s+/g, '')) return undefined
  let at = 0
  const sum = (): number => {
    let value = product()
    while (tokens[at] === '+' || tokens[at] === '-') value = tokens[at++] === '+' ? value + product() : value - product()
    return value
  }
  const product = (): number => {
    let value = factor()
    for (;;) {
      const operator = tokens[at]
      if (operator !== '*' && operator !== '/' && operator !== '%') return value
      at++
      const by = factor()
      value = operator === '*' ? value * by : operator === '/' ? value / by : value % by
    }
  }
  const factor = (): number => {
    const token = tokens[at++]
    if (token === '-') return -factor()
    if (token === '(') {
      const value = sum()
      return tokens[at++] === ')' ? value : Number.NaN
    }
    return token !== undefined && Object.hasOwn(variables, token) ? (variables[token] as number) : Number(token)
  }
  const value = sum()
  return at === tokens.length && !Number.isNaN(value) ? value : undefined
}

/** Whether a comparison holds, e.g. `rate < numElements/20*1000`; `undefined` when it is none. */
export function holds(text: string, variables: Variables): boolean | undefined {
  const [, left, operator, right] = /^(.*?)(<=|>=|==|!=|<|>|=)(.*)$/.exec(text) ?? []
  const a = valueOf(left ?? '', variables)
  const b = valueOf(right ?? '', variables)
  if (a === undefined || b === undefined) return undefined
  switch (operator) {
    case '<':
      return a < b
    case '<=':
      return a <= b
    case '>':
      return a > b
    case '>=':
      return a >= b
    case '!=':
      return a !== b
    default:
      return a === b
  }
}
