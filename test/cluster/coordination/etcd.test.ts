import { afterAll, beforeAll, describe, onTestFinished } from 'vitest'
import { EtcdCoordinator } from '../../../lib/cluster/coordination/etcd.ts'
import type { Coordinator } from '../../../lib/cluster/coordination/coordinator.ts'
import { conforms, conformsWhenCut } from './conformance.ts'
import type { Site } from './conformance.ts'
import { EtcdServers, compactAll, hasEtcd } from './etcd-servers.ts'
import { TcpLines } from './tcp-lines.ts'

describe.runIf(hasEtcd())('a coordinator over three servers of etcd', () => {
  let servers: EtcdServers
  let sites = 0
  beforeAll(async () => (servers = await EtcdServers.start()))
  afterAll(() => servers.stop())

  const site = async (): Promise<Required<Site>> => {
    const root = `site-${++sites}`
    const lines = new Map<Coordinator, TcpLines>()
    return {
      client: async () => {
        const own = await TcpLines.to(servers.hosts)
        const client = new EtcdCoordinator({ hosts: own.hosts }, root)
        lines.set(client, own)
        onTestFinished(async () => {
          await client.close()
          own.close()
        })
        return client
      },
      passing: (promise) => promise,
      now: () => performance.now(),
      compact: () => compactAll(servers),
      lines: {
        cut: (client) => lines.get(client)?.cut(),
        mend: (client) => lines.get(client)?.mend(),
      },
    }
  }
  conforms(site)
  conformsWhenCut(site)
})
