import { strict as assert } from 'node:assert';
import { Session as Inspector } from 'node:inspector/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type Redis from 'ioredis';
import type { Client } from '../support/app';
import { IndexedSite, REDIS } from '../support/indexed';
import { Monitor } from '../support/Monitor';
import { textOf } from '../support/docs';
import { count, type Handle, read, start, stop } from '../support/web';

const ROOT = `${pathToFileURL(path.join(__dirname, '../..'))}/`;

interface Way {
  calls: number;
  files: number;
  commands?: number;
}

/** The calls of our functions from a request to its answer, and the files that they are in. */
async function wayOf(client: Client, handle: Handle): Promise<Way> {
  const inspector = new Inspector();
  inspector.connect();
  await inspector.post('Profiler.enable');
  await inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  await inspector.post('Profiler.takePreciseCoverage');
  await client.run(handle);
  const { result } = await inspector.post('Profiler.takePreciseCoverage');
  await inspector.post('Profiler.stopPreciseCoverage');
  inspector.disconnect();
  const ours = result.filter(({ url }) => /^(module|app)\//.test(url.slice(ROOT.length)) && url.startsWith(ROOT));
  const called = ours.map(({ functions }) => functions.reduce((sum, { ranges }) => sum + ranges[0].count, 0)).filter(calls => calls > 0);
  return { calls: called.reduce((sum, calls) => sum + calls, 0), files: called.length };
}

const signIn: Handle = session => {
  session.userId = 7;
};
const regenerate: Handle = session => session.regenerate();

/** Each kind of request, and the longest way that it may take. */
const REQUESTS: Array<[ title: string, inRedis: boolean, handle: Handle, most: Required<Way> ]> = [
  [ 'cookie, read', false, read, { calls: 140, files: 31, commands: 0 }],
  [ 'cookie, write', false, count, { calls: 250, files: 37, commands: 0 }],
  [ 'Redis, not used', true, () => ({}), { calls: 95, files: 29, commands: 1 }],
  [ 'Redis, read', true, read, { calls: 175, files: 39, commands: 1 }],
  [ 'Redis, write', true, count, { calls: 360, files: 44, commands: 2 }],
  [ 'sign-in, then `regenerate()`', true, async (session, ctx) => {
    signIn(session, ctx);
    await regenerate(session, ctx);
  }, { calls: 540, files: 49, commands: 5 }],
  [ '`regenerate()`, then sign-in', true, async (session, ctx) => {
    await regenerate(session, ctx);
    signIn(session, ctx);
  }, { calls: 690, files: 49, commands: 6 }],
];

const rows: string[] = [];

function measure(where: string, inRedis: boolean, open: () => Promise<{ client: Client; redis?: Redis }>, close: () => Promise<void>): void {
  describe(`the way of a request through the source, with the session in ${where}`, () => {
    let client: Client;
    let redis: Redis | undefined;
    before(async () => {
      ({ client, redis } = await open());
    });
    after(close);

    for (const [ title, , handle, most ] of REQUESTS.filter(([ , each ]) => each === inRedis)) {
      it(`${title}: at most ${most.calls} calls in ${most.files} files, ${most.commands} commands`, async () => {
        const other = client.another();
        for (const each of [ count, count, handle ]) await other.run(each); // the server knows the scripts from now on
        const monitor = redis && await Monitor.of(redis);
        const ways: Array<Required<Way>> = [];
        for (let i = 0; i < 3; i++) {
          const browser = client.another();
          for (let j = 0; j < 2; j++) await browser.run(count);
          await monitor?.take();
          ways.push({ ...await wayOf(browser, handle), commands: (await monitor?.take())?.length ?? 0 });
        }
        monitor?.stop();
        const [ way ] = ways.sort((a, b) => a.calls - b.calls); // a timer's calls may be among those of one
        rows.push(`| ${title} | ${way.calls} | ${way.files} | ${way.commands || '–'} |`);
        for (const name of [ 'calls', 'files', 'commands' ] as const) assert.ok(way[name] <= most[name], `${way[name]} ${name}`);
      });
    }
  });
}

measure('the cookie', false, () => start({ maxAge: 60_000 }), stop);
const site = new IndexedSite(REDIS);
measure('Redis', true, async () => {
  await site.boot();
  return { client: site.browser(), redis: site.redis as Redis };
}, () => site.close());

describe('the table of calls in docs/architecture', () => {
  const numbers = (line: string) => line.split('|').slice(2, 5).map(cell => Number(cell.replace('–', '0')));

  for (const file of [ 'docs/architecture.md', 'docs/architecture.zh-CN.md' ]) {
    it(`${file} has what was counted, within a tenth`, () => {
      const lines = textOf(file).split('\n');
      for (const row of rows) {
        const shown = lines.find(line => line.startsWith(`|${row.split('|')[1]}|`));
        const differs = !shown || numbers(shown).some((number, i) => Math.abs(number - numbers(row)[i]) > number / 10);
        assert.ok(!differs, `${file}: its table is to be\n${rows.join('\n')}\n`);
      }
    });
  }
});
