import { strict as assert } from 'node:assert';
import mm from 'egg-mock';
import { later } from '../support/app';
import { setsNoCookie } from '../support/concurrent';
import { IndexedSite, REDIS } from '../support/indexed';
import { freePort } from '../support/ports';

const MINUTE = 60_000;

/** Why a Redis server refuses writes and serves reads. Each is given a way to configure the server, and is undone by `mend`. */
type Config = (...args: Array<string | number>) => Promise<unknown>;
const REFUSALS: Array<[ code: string, begin: (config: Config) => Promise<unknown>, mend: (config: Config) => Promise<unknown> ]> = [
  [ 'OOM', config => config('CONFIG', 'SET', 'maxmemory', 1), config => config('CONFIG', 'SET', 'maxmemory', 0) ],
  [ 'NOREPLICAS', config => config('CONFIG', 'SET', 'min-replicas-to-write', 1), config => config('CONFIG', 'SET', 'min-replicas-to-write', 0) ],
  [ 'READONLY', async config => await config('REPLICAOF', '127.0.0.1', await freePort()), config => config('REPLICAOF', 'NO', 'ONE') ],
];

for (const rolling of [ false, true ]) {
  describe(`a signed-in user who only reads, as Redis refuses writes, ${rolling ? 'with' : 'without'} rolling`, () => {
    const site = new IndexedSite(REDIS, { rolling, maxAge: 20 * MINUTE });
    before(() => site.boot());
    after(() => site.close());
    afterEach(() => mm.restore());

    const config: Config = (name, ...args) => site.redis!.call(String(name), ...args);

    for (const [ code, begin, mend ] of REFUSALS) {
      it(`is served under ${code}, which is told once, and is noted as seen again after it`, async () => {
        const browser = await site.signIn(7);
        later(2 * MINUTE); // long enough ago to be noted
        site.app.mockLog('coreLogger');
        await begin(config);
        try {
          for (let i = 0; i < 12; i++) { // more than a breaker lets pass
            const response = await browser.run(session => ({ user: session.userId }));
            assert.deepEqual(response.json(), { user: 7 });
            setsNoCookie(response);
            assert.equal((await browser.request('/nowhere')).status, 404);
          }
          const refused = await browser.tryRun(session => void (session.cart = [ 'a' ]));
          assert.equal(refused.status, 503);
          assert.deepEqual((await browser.run(session => session.toJSON())).json(), { userId: 7 });
        } finally {
          await mend(config);
        }
        const lines = (site.app.getLogger('coreLogger') as any)._mockLogs.filter((line: string) => line.includes(code));
        assert.equal(lines.length, 1, lines.join('\n'));
        later(2 * MINUTE);
        await browser.run(session => ({ user: session.userId }));
        const [{ lastSeenAt }] = await site.registry.list(7);
        assert.equal(lastSeenAt, Date.now());
        await site.registry.clear();
      });
    }
  });
}
