/** RDD programs as topologies: the same program in all tasks, on simulated executors. */
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { job, z } from '../../lib/index.ts'
import type { JobProgram, RddContext } from '../../lib/index.ts'
import { LocalCluster } from '../../lib/testing/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'squall-job-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const novel = readFileSync(new URL('../../topologies/data/moby-dick.txt', import.meta.url), 'utf8').slice(0, 100_000)
const input = join(folder, 'input.txt')
writeFileSync(input, novel)

async function run(program: JobProgram, executors = 1, config: Readonly<Record<string, unknown>> = {}) {
  await using local = await LocalCluster.start({ seed: 7, executors })
  return local.complete(
    job('a-job', () => program),
    { config },
  )
}

/** What each task of a program says, by task. */
async function said<R>(executors: number, program: (sc: RddContext) => R | Promise<R>): Promise<readonly R[]> {
  const all: R[] = []
  await run(async (sc) => void (all[sc.index] = await program(sc)), executors)
  return all
}

describe.each([1, 2, 3])('on %d executors', (executors) => {
  test('every task gets the result of all', async () => {
    const counts = new Map<string, number>()
    for (const word of novel.split(/[ \n]/)) counts.set(word, (counts.get(word) ?? 0) + 1)
    const expected = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).slice(0, 20)
    const results = await said(executors, (sc) =>
      sc
        .textFile(input)
        .flatMap((line) => line.split(' '))
        .map((word) => [word, 1])
        .reduceByKey((a, b) => a + b)
        .takeOrdered(20, ([a, m], [b, n]) => n - m || (a < b ? -1 : 1)),
    )
    expect(results).toEqual(new Array(executors).fill(expected))
  })

  test('joins, sorts and samples are the same in any number of tasks', async () => {
    const results = await said(executors, async (sc) => {
      const squares = sc.range(0, 1_000, 1, 5).map((i) => [i, i * i])
      const thirds = sc.range(0, 1_000, 3, 4).map((i) => [i, `third ${i}`])
      const joined = await squares.join(thirds).sortByKey({ ascending: false, partitions: 3 }).take(3)
      return { joined, sampled: await squares.sample(false, 0.5, 5).count(), total: await squares.values().sum() }
    })
    expect(results[0]).toMatchObject({
      joined: [999, 996, 993].map((i) => [i, [i * i, `third ${i}`]]),
      total: 332_833_500,
    })
    expect(new Set(results.map((one) => JSON.stringify(one))).size).toBe(1)
  })

  test('what has no seed of its own is random, and the same in all tasks', async () => {
    const results = await said(executors, (sc) => sc.range(0, 1_000).takeSample(false, 5))
    expect(new Set(results.map((one) => JSON.stringify(one))).size).toBe(1)
    expect(results[0]).not.toEqual([0, 1, 2, 3, 4])
  })

  test('one task is the driver; what it alone does all tasks get', async () => {
    let times = 0
    const results = await said(executors, async (sc) => ({
      isDriver: sc.isDriver,
      once: await sc.once(async () => ({ n: await Promise.resolve(++times), none: undefined })),
      nothing: await sc.once(() => undefined),
      count: await sc.range(0, 10).count(),
    }))
    expect(times).toBe(1)
    expect(results.map(({ isDriver }) => isDriver)).toEqual(Array.from({ length: executors }, (_, i) => i === 0))
    for (const { once, nothing, count } of results) expect([once.n, nothing ?? null, count]).toEqual([1, null, 10])
  })

  test('it ends as finished, with everything acked', async () => {
    const { result, errors } = await run(async (sc) => void (await sc.range(0, 100, 1, 7).repartition(3).count()), executors)
    expect(result).toMatchObject({ state: 'finished', emitted: 1, acked: 1, failed: 0 })
    expect(errors).toEqual([])
  })

  test('an action that nobody awaits is done before the end', async () => {
    const counts: number[] = []
    await run((sc) => {
      void sc
        .range(0, 100)
        .repartition(2)
        .count()
        .then((n) => counts.push(n))
    }, executors)
    expect(counts).toEqual(new Array(executors).fill(100))
  })

  test('a context is stopped when its program is done', async () => {
    const kept: RddContext[] = []
    await run((sc) => void kept.push(sc), executors)
    expect(kept).toHaveLength(executors)
    for (const sc of kept) expect(() => sc.range(0, 1)).toThrow(expect.objectContaining({ code: 'rdd-stopped' }))
  })

  test('more data than the rings hold is traded', { timeout: 60_000 }, async () => {
    // 15 MB from each task to each other, where 4 MiB may be under way
    const text = 'x'.repeat(10_000)
    const sizes = await said(executors, (sc) =>
      sc
        .range(0, 1_500 * executors, 1, executors)
        .map((i) => [i, `${i} ${text}`])
        .groupByKey(executors)
        .mapValues(([value = '']) => Number(value.split(' ')[0]))
        .map(([key, value]) => (key === value ? 1 : 0))
        .sum(),
    )
    expect(sizes).toEqual(new Array(executors).fill(1_500 * executors))
  })

  describe('a program that fails', () => {
    test('by an operation: rdd-failed, with the RDD and the line', async () => {
      const broken = run(async (sc) => {
        await sc
          .range(0, 10, 1, 3)
          .map((i) => {
            if (i === 9) throw new Error('no nine')
            return i
          })
          .repartition(2)
          .count()
      }, executors)
      await expect(broken).rejects.toMatchObject({
        code: 'rdd-failed',
        where: { file: 'test/batch/job.test.ts', line: expect.any(Number) as number, component: 'program' },
      })
    })

    test('by a coded error in what it does itself: with the line', async () => {
      const broken = run((sc) => void sc.range(0, 10).sortBy((n) => n, false as unknown as object), executors)
      await expect(broken).rejects.toMatchObject({
        code: 'bad-option',
        where: { file: 'test/batch/job.test.ts', line: expect.any(Number) as number, component: 'program' },
      })
    })

    test('by itself in one task, while others wait for it: job-threw, with the line', async () => {
      const broken = run(async (sc) => {
        await sc.range(0, 10).count()
        if (sc.isDriver) throw new TypeError('not so')
        await sc.range(0, 10).count()
      }, executors)
      await expect(broken).rejects.toMatchObject({
        code: 'job-threw',
        what: 'the program of the job a-job threw: not so',
        where: { file: 'test/batch/job.test.ts', component: 'program', task: expect.any(Number) as number },
      })
    })

    test('in what it does once: in all tasks', async () => {
      const caught = await said(executors, async (sc) => {
        const outcome = sc.once(() => Promise.reject(new Error('no service')))
        return outcome.catch((error: Error) => error.message)
      })
      for (const message of caught) expect(message).toContain('no service')
    })

    test('by an action within what it does once', async () => {
      await expect(run((sc) => sc.once(async () => void (await sc.range(0, 1).count())), executors)).rejects.toMatchObject({
        code: 'rdd-nested',
      })
    })
  })
})

describe('tasks that part ways', () => {
  test.each<[string, JobProgram]>([
    ['an action in the driver alone', async (sc) => void (sc.isDriver && (await sc.range(0, 10).count()))],
    [
      'different actions',
      async (sc) => {
        const numbers = sc.range(0, 10)
        await (sc.isDriver ? numbers.count() : numbers.collect())
      },
    ],
    [
      'RDDs that only one task makes',
      async (sc) => {
        if (sc.index === 1) sc.range(0, 10)
        await sc.range(0, 10).repartition(2).collect()
      },
    ],
  ])('%s: tasks-differ', async (_, program) => {
    await expect(run(program, 2)).rejects.toMatchObject({ code: 'tasks-differ' })
    await expect(run(program, 1)).resolves.toMatchObject({ result: { state: 'finished' } })
  })
})

test('checkpoints are in the state directory', async () => {
  const stateDir = join(folder, 'state')
  const sums = await (async () => {
    const all: number[] = []
    await run(
      async (sc) => {
        const numbers = sc.range(0, 10, 1, 2).map((i) => i * 2)
        numbers.persist().checkpoint()
        all.push(await numbers.sum(), await numbers.sum())
      },
      2,
      { stateDir },
    )
    return all
  })()
  expect(sums).toEqual([90, 90, 90, 90])
  expect(readdirSync(join(stateDir, 'checkpoints'))).toHaveLength(1)
})

describe('what is declared wrong', () => {
  test('a parameter that is missing', async () => {
    await using local = await LocalCluster.start()
    const definition = job('needs', (t) => {
      const name = t.param('name', z.string())
      return () => void name.length
    })
    await expect(local.complete(definition)).rejects.toMatchObject({ code: 'missing-param' })
    await expect(local.complete(definition, { params: { name: 'x' } })).resolves.toMatchObject({ result: { state: 'finished' } })
  })

  test.each([
    ['no program', () => undefined, 'what the second argument returns of job(name, build) is undefined'],
    [
      'an async function',
      async () => Promise.resolve(() => undefined),
      'what the second argument returns of job(name, build) is a promise',
    ],
    ['no function', 'x', 'the second argument of job(name, build) is "x"'],
  ])('%s', async (_, build, what) => {
    await using local = await LocalCluster.start()
    await expect(local.complete(job('wrong', build as never))).rejects.toMatchObject({ code: 'bad-definition', what })
  })
})
