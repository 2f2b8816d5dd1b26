// What the plugin's Redis store sends to Redis and keeps in it, beside egg-session with the store of its README.
// Measured on a Redis server of its own: MONITOR for the commands, INFO for bytes and memory.
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import Redis from 'ioredis';
import mm from 'egg-mock';
import { RedisSessionStore } from '..';
import { Client, fixtureDir } from '../test/support/app';
import { startRedis } from '../test/support/servers';

/** Each request is made this often, each time with a session of its own. */
const REQUESTS = 20;
const SESSIONS = 100_000;

const SMALL = {
  userId: 1234567, name: 'Ada Lovelace', email: 'ada@example.com', roles: [ 'editor', 'reviewer' ], locale: 'en-GB',
  csrfToken: 'q3Xh0cZ1n8sVbT5yLw7KdR2u', signedInAt: 1764000000000, theme: 'dark', n: 0,
};
const { n, userId, ...user } = SMALL;
const NESTED = { n, userId, user };
const cart = Array.from({ length: 421 }, (_, i) => ({ sku: `article-${1000 + i}`, pieces: 1 + i % 9, price: 9.95 }));
const LARGE = { ...SMALL, cart };

type Store = Pick<RedisSessionStore, 'get' | 'set' | 'destroy'>;

const SUBJECTS: Record<string, { fixture: string; create(redis: Redis): Store }> = {
  'egg-tegg-session': {
    fixture: 'web',
    create: redis => new class extends RedisSessionStore {
      protected readonly redis = redis;
    }(),
  },
  'egg-session': {
    fixture: 'egg-session',
    create: redis => ({
      async get(key) {
        const json = await redis.get(key);
        return json ? JSON.parse(json) : null;
      },
      async set(key, value, maxAge) {
        await redis.set(key, JSON.stringify(value), 'PX', maxAge as number);
      },
      async destroy(key) {
        await redis.del(key);
      },
    }),
  },
};

type Handler = Parameters<Client['run']>[0];
const write: Handler = session => Object.assign(session, { n: 1 });
const renew: Handler = (_, ctx) => Object.assign(ctx.sessionOptions, { rolling: true }) && {};
const REQUEST_KINDS: Array<[ string, object, Handler ]> = [
  [ 'read', SMALL, session => ({ userId: session.userId }) ],
  [ 'rolling renewal, nothing changed', SMALL, renew ],
  [ 'rolling renewal, nothing changed', LARGE, renew ],
  [ 'write of one field', SMALL, write ],
  [ 'write of one field', LARGE, write ],
  [ 'sign-out', SMALL, (_, ctx) => Object.assign(ctx, { session: null }) && {} ],
  [ 'regenerate', SMALL, session => session.regenerate() ],
];

const size = (data: object) => `${JSON.stringify(data).length} bytes`;
const table: Record<string, Record<string, string>> = {};
function report(row: string, subject: string, value: string) {
  (table[row] ??= {})[subject] = value;
}

async function measure(port: number, subject: string) {
  const redis = new Redis(port);
  const info = async (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(await redis.info())![1]);
  const received = () => info('total_net_input_bytes');
  const store = SUBJECTS[subject].create(new Redis(port));
  const set = store.set.bind(store);
  let written!: Parameters<Store['set']>;
  store.set = (...args) => set(...(written = args));
  await redis.flushall();

  // egg-mock would put the plugin of this package in the place of egg-session
  const app = mm.app({ baseDir: fixtureDir(SUBJECTS[subject].fixture), cache: false, ...{ plugin: false } });
  await app.ready();
  app.sessionStore = store as any;
  const server = await Client.of(app);
  const signIn = async (data: object) => {
    const client = server.another();
    await request(client, (_, ctx) => Object.assign(ctx, { session: data }) && {});
    return client;
  };
  const request = async (client: Client, handler: Handler) => {
    const { status, text } = await client.run(handler);
    assert.equal(status, 200, text);
  };

  const monitor = await redis.duplicate().monitor();
  const commands: string[] = [];
  monitor.on('monitor', (_, [ command ], source) => source !== 'lua' && commands.push(command.toLowerCase()));
  const allSeen = async () => {
    await redis.echo('');
    while (commands.at(-1) !== 'echo') await once(monitor, 'monitor');
  };

  for (const [ title, data, handler ] of REQUEST_KINDS) {
    await request(await signIn(data), handler); // which loads the scripts
    const clients = [];
    for (let i = 0; i < REQUESTS; i++) clients.push(await signIn(data));
    const ownBytes = -await received() + await received();
    await allSeen();
    commands.length = 0;
    const before = await received();
    for (const client of clients) await request(client, handler);
    const bytes = await received() - before - ownBytes;
    await allSeen();
    const sent = commands.filter(command => ![ 'info', 'echo' ].includes(command));
    assert.equal(sent.length % REQUESTS, 0, sent.join());
    const each = sent.slice(0, sent.length / REQUESTS);
    report(`${title}, ${size(data)}`, subject,
      `${each.length} (${each.join(', ')}), ${Math.round(bytes / REQUESTS)} bytes`);
  }
  monitor.disconnect();

  for (const [ title, data ] of Object.entries({ 'all fields short': SMALL, 'a field over 64 bytes': NESTED })) {
    await signIn(data);
    await redis.flushall();
    const empty = await info('used_memory');
    const [ id, record, maxAge ] = written;
    for (let i = 0; i < SESSIONS; i += 1000) {
      await Promise.all(Array.from({ length: 1000 }, (_, j) =>
        set(id.slice(0, -6) + String(i + j).padStart(6, '0'), record, maxAge)));
    }
    const used = await info('used_memory') - empty;
    const key = (await redis.randomkey())!;
    report(`memory of one of ${SESSIONS}, ${title}, ${size(data)}`, subject,
      `${Math.round(used / SESSIONS)} bytes (MEMORY USAGE ${await redis.memory('USAGE', key)}, ${await redis.object('ENCODING', key)})`);
  }

  await server.close();
  await app.close();
  redis.disconnect();
}

(async () => {
  mm.consoleLevel('NONE');
  const server = await startRedis();
  for (const subject of Object.keys(SUBJECTS)) await measure(server.port, subject);
  await server.stop();
  console.table(table);
  process.exit();
})();
