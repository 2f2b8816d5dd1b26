import { strict as assert } from 'node:assert';
import { chaosOfCluster, chaosOfFailover, chaosOfOne } from './support/chaos';

/** In seconds: \`npm run chaos\` takes a minute of each. */
const SHORT = 6;
const USERS = 8;

describe('two workers under load', () => {
  for (const [ title, chaos, loses ] of [
    [ 'while Redis is killed 3 times, stalls and is cut off: each answer is a 200 that is true, or a 503', chaosOfOne, false ],
    [ 'while Sentinel makes a replica the master: each answer is a 200 or a 503', chaosOfFailover, true ],
    [ 'while a Cluster loses a master: each answer is a 200 or a 503', chaosOfCluster, true ],
  ] as const) {
    it(title, async () => {
      const { statuses, wrong, sessions } = await chaos(SHORT, USERS);
      const { 200: ok, 503: unavailable, ...others } = statuses;
      assert.deepEqual(others, {});
      assert.ok(ok > 0 && unavailable > 0 && sessions > 0);
      if (!loses) assert.equal(wrong, 0);
    });
  }
});
