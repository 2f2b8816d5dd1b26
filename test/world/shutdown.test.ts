import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import http from 'node:http';
import mm from 'egg-mock';
import Redis from 'ioredis';
import { Client, createApp } from '../support/app';
import { gate } from '../support/concurrent';
import { MapStore } from '../support/MapStore';
import { recordAt } from '../support/redis';
import { startRedis } from '../support/servers';
import { startWorker } from '../support/worker';

/** A store that notes whether it was closed. */
class ClosingStore extends MapStore {
  /** What has happened, in its order. */
  readonly log: string[] = [];

  override async set(...args: Parameters<MapStore['set']>) {
    await super.set(...args);
    this.log.push('set');
  }
}

describe('when the application closes', () => {
  afterEach(() => mm.restore());

  it('requests that are running save their session before anything else is closed', async () => {
    const store = new ClosingStore();
    const app = await createApp('web', {
      session: { store },
      boot: booting => booting.beforeClose(() => store.log.push('closed') && Promise.resolve()),
    });
    const client = await Client.of(app);
    const [ loaded, goOn ] = [ gate(), gate() ];
    const response = client.run(async (session: any) => {
      session.n = 1;
      loaded.open();
      await goOn.opened;
      return { n: session.n };
    });
    await loaded.opened;
    const closing = app.close();
    goOn.open();
    assert.deepEqual((await response).json(), { n: 1 });
    await closing;
    assert.deepEqual(store.log, [ 'set', 'closed' ]);
    await client.close();
  });

  it('one that never ends does not keep it open', async () => {
    const app = await createApp('web', { session: { store: new MapStore() } });
    const client = await Client.of(app);
    const loaded = gate();
    client.run(async () => {
      loaded.open();
      await new Promise(() => undefined);
    }).catch(() => undefined);
    await loaded.opened;
    await app.close();
    await client.close();
  });

  it('by SIGTERM, with two workers: no write is lost that a request had begun', async () => {
    const server = await startRedis();
    const redis = new Redis(server.port);
    const cluster = await startWorker({
      plugin: 'egg-redis', redis: { client: { host: '127.0.0.1', port: server.port, password: '', db: 0 } }, store: 'store',
    }, port => [ require.resolve('egg-scripts/bin/egg-scripts.js'), 'start', '--workers=2', `--port=${port}` ]);
    const requests = await Promise.all(Array.from({ length: 20 }, async (_, i) => {
      const request = http.request({
        host: '127.0.0.1', port: cluster.port, method: 'POST', path: `/slow/set?field=field${i}`, agent: false,
      });
      request.flushHeaders();
      const responding = once(request, 'response') as Promise<[ http.IncomingMessage ]>;
      await Promise.race([ once(request, 'information'), responding ]);
      return { request, responding };
    }));
    const stopped = cluster.stop();
    const statuses = await Promise.all(requests.map(async ({ request, responding }) => {
      request.end();
      const [ response ] = await responding;
      response.resume();
      return response.statusCode;
    }));
    await stopped;
    assert.deepEqual(statuses, statuses.map(() => 200));
    const stored = await Promise.all((await redis.keys('*')).map(key => recordAt(redis, key)));
    const fields = stored.flatMap(record => Object.keys(record).filter(field => field.startsWith('field'))).sort();
    assert.deepEqual(fields, statuses.map((_, i) => `field${i}`).sort());
    redis.disconnect();
    await server.stop();
  });
});
