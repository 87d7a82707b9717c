/** A nimbus with its API, listening: what `squall nimbus` and `squall up` start. */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Schedule } from '../../std/schedule.ts'
import type { Blobs } from '../blobstore/blobs.ts'
import { FolderBlobs } from '../blobstore/folder-blobs.ts'
import { HttpBlobs } from '../blobstore/http-blobs.ts'
import type { Coordinator } from '../coordination/coordinator.ts'
import { HttpClient } from '../http/client.ts'
import type { ListenOptions } from '../http/listen.ts'
import { serve } from '../http/server.ts'
import type { Fetch } from '../http/server.ts'
import { nimbusApi } from './api.ts'
import { Nimbus } from './nimbus.ts'

export interface NimbusStart extends ListenOptions {
  /** keeps its bundles: FOLDER/bundles */
  readonly folder: string
  readonly version: string
  readonly coordinator: Coordinator
  readonly schedule: Schedule
  /** it does not stand for leader before */
  readonly admitted?: Promise<void>
  readonly report: (message: string) => void
}

export interface RunningNimbus {
  readonly nimbus: Nimbus
  readonly blobs: Blobs
  readonly url: string
  /** Lets another one lead at once. The coordinator stays open. */
  stop(): Promise<void>
}

/** Somebody looks at a screen meanwhile. */
const supervisorMs = 2_000
const bundleMs = 30_000

/** Listens, and stands for leader. Errors: `listen-failed`, and those of its folder. */
export async function startNimbus(start: NimbusStart): Promise<RunningNimbus> {
  const { folder, token, tls, version, coordinator, schedule, report, host } = start
  const blobs = await FolderBlobs.open(join(folder, 'bundles'))
  // its address is a part of what its API stands for
  let api: Fetch = () => new Response(null, { status: 503 })
  const served = await serve((request) => api(request), start)
  const url = `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${served.port}`
  const clientOf = (other: string, withinMs: number): HttpClient => new HttpClient({ urls: [other], token, tls, withinMs })
  const nimbus = new Nimbus({
    id: `${hostname().replace(/[^\w.$-]/g, '-')}-${randomBytes(4).toString('hex')}`,
    url,
    coordinator,
    schedule,
    blobs,
    blobsOf: (other) => new HttpBlobs(clientOf(other, bundleMs)),
    report,
  })
  api = nimbusApi({
    nimbus,
    blobs,
    version,
    schedule,
    clientOf: (other) => clientOf(other, supervisorMs),
    report,
  })
  if (start.admitted === undefined) nimbus.start()
  else
    void start.admitted.then(
      () => nimbus.start(),
      () => undefined, // whoever waits for that is told
    )
  return {
    nimbus,
    blobs,
    url,
    stop: async () => {
      await nimbus.stop()
      await served.close()
    },
  }
}
