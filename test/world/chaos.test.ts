import { strict as assert } from 'node:assert';
import { chaosOfOne, SERVER_NAMES } from '../support/chaos';

/** In seconds: `npm run chaos` takes a minute, and one each for Sentinel and a Cluster. */
const SHORT = 6;
const USERS = 8;

for (const name of SERVER_NAMES) {
  it(`two workers under load, while ${name} is killed 3 times, stalls and is cut off: each answer is a 200 that is true, or a 503`, async () => {
    const { statuses, wrong, sessions } = await chaosOfOne(SHORT, USERS, name);
    const { 200: ok, 503: unavailable, ...others } = statuses;
    assert.deepEqual(others, {});
    assert.ok(ok > 0 && unavailable > 0 && sessions > 0);
    assert.equal(wrong, 0);
  });
}
