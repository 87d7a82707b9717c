import { mergeConfig } from 'vitest/config'
import base from '../../vitest.config.ts'

/** `npm run chaos`: takes minutes and the whole machine, so `npm test` leaves it out. */
export default mergeConfig(
  { ...base, test: { ...base.test, include: [], typecheck: { enabled: false } } },
  {
    test: { include: ['test/chaos/run.ts'] },
  },
)
