/**
 * The oldest Node that runs Squall; the same as `engines.node` in package.json, which a test compares.
 *
 * Kept in plain old JavaScript: this file has to be read by the Nodes that it turns away.
 */
const oldestNode = '20.19.0'

/** Says in one line that this Node is too old, and leaves. */
export function requireNode() {
  if (compare(process.versions.node, oldestNode) >= 0) return
  process.stderr.write(
    `error[node-version]: Squall needs Node ${oldestNode} or later, and this is Node ${process.versions.node}\n` +
      'help: install a newer Node, then run the same command again\n',
  )
  process.exit(1)
}

function compare(a, b) {
  const left = a.split('.').map(Number)
  const right = b.split('.').map(Number)
  for (let i = 0; i < 3; i++) if (left[i] !== right[i]) return left[i] - right[i]
  return 0
}
