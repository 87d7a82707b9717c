/** Squall's test kit, name by name. Documented in `docs/TESTING.md`; users test with it as we do. */
export { LocalCluster } from './local-cluster.ts'
export type {
  CompleteOptions,
  Completed,
  ExecutedTuple,
  LocalClusterOptions,
  LocalTopology,
  Observed,
  SubmitOptions,
} from './local-cluster.ts'
export { feeder, fixedSpout } from './sources.ts'
export type { Feeder, MockedSource } from './sources.ts'
export { VirtualClock } from '../std/clock.ts'
export { VirtualSchedule } from '../std/schedule.ts'
