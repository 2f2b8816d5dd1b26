import { strict as assert } from 'node:assert';
import type { MockApplication } from 'egg-mock';
import { Client, createApp } from './support/app';

describe('session', () => {
  let app: MockApplication;
  let client: Client;
  before(async () => {
    app = await createApp('web');
    client = await Client.of(app);
  });
  after(async () => {
    await client.close();
    await app.close();
  });

  it('counts', async () => {
    for (let n = 1; n < 4; n++) {
      const response = await client.run(session => ({ n: (session.n = (session.n ?? 0) + 1) }));
      assert.deepEqual(response.json(), { n });
    }
  });
});
