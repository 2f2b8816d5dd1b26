import { strict as assert } from 'node:assert';
import { EventEmitter, on } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import type { Context } from 'egg';
import type { MockApplication } from 'egg-mock';
import fc from 'fast-check';
import Redis from 'ioredis';
import Keyv from 'keyv';
import KeyvMemcache from '@keyv/memcache';
import { KeyvSessionStore, MemorySessionStore, RedisSessionStore, type SessionStore, type SessionStoreOptions } from '..';
import { Client, createApp } from './support/app';
import { MapStore } from './support/MapStore';
import { startMemcached, startRedis, type TestServer } from './support/servers';

type Data = Record<string, unknown>;

/** What is left of data that were stored. */
const json = <T>(data: T): T => JSON.parse(JSON.stringify(data));

/** `theirs`, with the fields that `mine` has not as `base` has them. */
function merge(base: Data, mine: Data, theirs: Data): Data {
  const result = { ...theirs };
  for (const field of Object.keys({ ...base, ...mine })) {
    if (!isDeepStrictEqual(base[field], mine[field])) result[field] = mine[field];
  }
  return json(result);
}

/** An id that the application is about to make. */
const NEW = 'new';

/** What one request must see and do, where `records` are what is stored. */
class RequestModel {
  /** The session; null when it was destroyed. */
  data: Data | null = {};
  /** The id of its record; undefined while it has none. */
  id?: string;
  /** The record as this request knows it. */
  private base: Data = {};
  /** Whether the session is one that was assigned to `ctx.session` since it was last stored. */
  replaced = false;
  private written = false;
  /** Whether it has found that its record is gone. */
  private ended = false;
  /** What the response does to the browser's cookie. */
  cookie: 'keeps' | 'sets' | 'drops' = 'keeps';
  /** What it may do just as well, as koa-session may save what is as it was. */
  cookieToo?: 'sets' | 'drops';

  constructor(private readonly records: Map<string, Data>, id: string | undefined) {
    const record = records.get(id!);
    if (!record) return;
    this.id = id;
    this.data = json(record);
    this.base = json(record);
  }

  change(change: Change['apply']) {
    const data = json(this.data!);
    change(data);
    this.data = json(data);
  }

  assign(data: Data | null) {
    if (this.ended && data) {
      this.ended = false;
      this.id = undefined;
      this.base = {};
    }
    this.data = json(data);
    this.replaced = this.id !== undefined;
  }

  commit(forced = false) {
    const { records, data, base, replaced } = this;
    if (!data) return this.destroy();
    if (this.ended) return;
    const changed = replaced || !isDeepStrictEqual(data, base);
    const latest = records.get(this.id!);
    if (!changed && !forced) {
      if (this.id !== undefined) this.cookieToo = latest || this.written ? 'sets' : 'drops';
    } else if (this.id === undefined) {
      this.begin();
    } else if (latest) {
      records.set(this.id, replaced ? data : merge(base, data, latest));
      this.saved();
    } else if (!changed && this.written) {
      this.cookie = 'sets';
    } else {
      this.end();
    }
  }

  destroy() {
    this.records.delete(this.id!);
    this.id = undefined;
    this.data = null;
    this.base = {};
    this.ended = false;
    this.cookie = 'drops';
  }

  regenerate() {
    const { records, id, data, base } = this;
    if (id !== undefined && !this.replaced) {
      this.data = merge(base, data!, (this.ended ? undefined : records.get(id)) ?? {});
    }
    records.delete(id!);
    this.begin();
  }

  /** Returns the error that the request must see. */
  update(change: Change['apply']): RegExp | undefined {
    const { records, id, data, base } = this;
    if (!data) return /was destroyed/;
    if (id === undefined) {
      this.change(change);
      return undefined;
    }
    const latest = this.ended ? undefined : records.get(id);
    if (!latest) {
      this.end();
      return /has ended/;
    }
    const result = json(latest);
    change(result);
    records.set(id, json(result));
    this.data = merge(latest, json(result), this.replaced ? data : merge(base, data, latest));
    this.base = json(result);
    this.written ||= !isDeepStrictEqual(json(result), latest);
    return undefined;
  }

  private begin() {
    this.id = NEW;
    this.records.set(NEW, this.data!);
    this.saved();
  }

  private saved() {
    this.base = this.data!;
    this.replaced = false;
    this.written = true;
    this.ended = false;
    this.cookie = 'sets';
  }

  private end() {
    this.ended = true;
    this.cookie = 'drops';
  }
}

interface Model {
  /** What is stored. */
  records: Map<string, Data>;
  /** The ids of all sessions that were ever stored. */
  ids: Set<string>;
  /** The open requests. */
  requests: Map<number, RequestModel>;
  /** The id in the browser's cookie. */
  id?: string;
}

/** A real request that has loaded its session, and takes steps when it is told to. */
interface OpenRequest {
  ctx: Context;
  step(work: (session: any, ctx: Context) => unknown): Promise<void>;
  /** Lets it end, and resolves to what its response did to the cookie. */
  finish(): Promise<{ cookie: 'keeps' | 'sets' | 'drops'; value?: string }>;
}

/** The application, and everything that has happened to one session in it. */
class Real {
  readonly requests = new Map<number, OpenRequest>();
  /** The cookie of each id that a browser was given. */
  readonly cookies = new Map<string, string>();

  constructor(
    private readonly client: Client,
    readonly store: SessionStore,
    /** All ids that the application has made. */
    readonly ids: readonly string[],
  ) {}

  async open(slot: number, cookie: string | undefined): Promise<void> {
    const steps = new EventEmitter();
    const browser = this.client.another();
    if (cookie) browser.cookies.set('EGG_SESS', cookie);
    let response!: ReturnType<Client['request']>;
    const ctx = await new Promise<Context>((resolve, reject) => {
      response = browser.run(async (session, ctx) => {
        const todo = on(steps, 'step');
        resolve(ctx);
        for await (const [ step ] of todo) {
          if (!step) return;
          await step(session, ctx);
        }
      });
      response.then(({ text }) => reject(new Error(text)), reject);
    });
    this.requests.set(slot, {
      ctx,
      step: work => new Promise((resolve, reject) => {
        steps.emit('step', async (session: unknown, ctx: Context) => {
          try {
            resolve(void await work(session, ctx));
          } catch (err) {
            reject(err);
          }
        });
      }),
      finish: async () => {
        this.requests.delete(slot);
        steps.emit('step');
        const { status, text, setCookies } = await response;
        assert.equal(status, 200, text);
        assert.ok(setCookies.length < 2, setCookies.join());
        const value = browser.cookies.get('EGG_SESS');
        return { cookie: setCookies.length === 0 ? 'keeps' : value ? 'sets' : 'drops', value };
      },
    });
  }

  async record(id: string): Promise<Data | null> {
    const record = await this.store.get(id, 60_000, {} as SessionStoreOptions);
    return record ? Object.fromEntries(Object.entries(record).filter(([ field ]) => field[0] !== '_')) : null;
  }
}

/** After a step of a request, the session is as the model says, and so is all that is stored. */
async function check(model: Model, request: RequestModel, { session }: Context, real: Real) {
  if (request.id === NEW) {
    const id = session.externalKey!;
    assert.ok(!model.ids.has(id), `${id} is not new`);
    model.ids.add(id);
    request.id = id;
    model.records.set(id, model.records.get(NEW)!);
    model.records.delete(NEW);
  }
  assert.deepEqual(session && json(session.toJSON()), request.data, 'the session');
  if (session && request.id !== undefined && !request.replaced) assert.equal(session.externalKey, request.id);
  await checkRecords(model, real);
}

async function checkRecords(model: Model, real: Real) {
  const stored = await Promise.all(real.ids.map(async id => [ id, await real.record(id) ]));
  assert.deepEqual(stored, real.ids.map(id => [ id, model.records.get(id) ?? null ]), 'what is stored');
}

type Command = fc.AsyncCommand<Model, Real>;

const open = (slot: number, nth: number | null): Command => ({
  check: ({ requests }) => !requests.has(slot),
  async run(model, real) {
    const issued = [ ...real.cookies.keys() ];
    const id = nth === null ? model.id : issued[nth % issued.length];
    const request = new RequestModel(model.records, id);
    model.requests.set(slot, request);
    await real.open(slot, real.cookies.get(id!));
    await check(model, request, real.requests.get(slot)!.ctx, real);
  },
  toString: () => `${slot}: open with ${nth === null ? 'the browser\'s cookie' : `cookie ${nth}`}`,
});

const finish = (slot: number): Command => ({
  check: ({ requests }) => requests.has(slot),
  async run(model, real) {
    const request = model.requests.get(slot)!;
    model.requests.delete(slot);
    request.commit();
    const { ctx, finish } = real.requests.get(slot)!;
    const { cookie, value } = await finish();
    await check(model, request, ctx, real);
    assert.ok([ request.cookie, request.cookieToo ].includes(cookie), `the response ${cookie} the cookie`);
    if (cookie === 'sets') real.cookies.set(request.id!, value!);
    if (cookie !== 'keeps') model.id = cookie === 'sets' ? request.id : undefined;
  },
  toString: () => `${slot}: end`,
});

const removeElsewhere = (nth: number): Command => ({
  check: ({ records }) => records.size > 0,
  async run(model, real) {
    const ids = [ ...model.records.keys() ];
    const id = ids[nth % ids.length];
    model.records.delete(id);
    await real.store.destroy(id, {} as SessionStoreOptions);
    await checkRecords(model, real);
  },
  toString: () => `elsewhere: remove record ${nth}`,
});

/** A step of an open request: what it is to do, which the model does too. */
const step = (title: string, slot: number, predict: (request: RequestModel) => RegExp | undefined | void,
  work: (session: any, ctx: Context) => unknown, needsSession = true): Command => ({
  check: ({ requests }) => requests.has(slot) && (!needsSession || requests.get(slot)!.data !== null),
  async run(model, real) {
    const request = model.requests.get(slot)!;
    const error = predict(request);
    const { ctx, step } = real.requests.get(slot)!;
    if (error) await assert.rejects(step(work), error);
    else await step(work);
    await check(model, request, ctx, real);
  },
  toString: () => `${slot}: ${title}`,
});

interface Change {
  title: string;
  apply(data: Data): unknown;
}

const setField = (field: string, value: unknown): Change => ({
  title: `${field} = ${JSON.stringify(value)}`,
  apply: data => {
    data[field] = structuredClone(value);
  },
});
const fields = fc.constantFrom('a', 'b', 'list');
const changes = fc.oneof(
  fc.tuple(fields, fc.constantFrom(1, 2, 'x', null, [], {})).map(([ field, value ]) => setField(field, value)),
  fields.map(field => ({ title: `delete ${field}`, apply: (data: Data) => delete data[field] })),
  fc.nat(2).map(value => ({
    title: `list.push(${value})`,
    apply: ({ list }: Data) => Array.isArray(list) && list.push(value),
  })),
  fc.constant({
    title: 'n++',
    apply: (data: Data) => {
      data.n = ((data.n as number) ?? 0) + 1;
    },
  }),
);

const change = (slot: number, { title, apply }: Change) =>
  step(title, slot, request => request.change(apply), apply);
const update = (slot: number, { title, apply }: Change) =>
  step(`update: ${title}`, slot, request => request.update(apply), session => session.update(apply), false);
const assign = (slot: number, data: Data | null) =>
  step(`ctx.session = ${JSON.stringify(data)}`, slot, request => request.assign(data), (_, ctx) => {
    ctx.session = data as any;
  }, data === null);
const save = (slot: number) =>
  step('save()', slot, request => request.commit(true), session => session.save());
const regenerate = (slot: number) =>
  step('regenerate()', slot, request => request.regenerate(), session => session.regenerate());
const destroy = (slot: number) =>
  step('destroy()', slot, request => request.destroy(), session => session.destroy());

const slots = fc.nat(3);
const commands = fc.commands([ fc.oneof(
  { weight: 6, arbitrary: fc.tuple(slots, fc.option(fc.nat(5), { freq: 3 })).map(([ slot, nth ]) => open(slot, nth)) },
  { weight: 4, arbitrary: slots.map(finish) },
  { weight: 8, arbitrary: fc.tuple(slots, changes).map(([ slot, what ]) => change(slot, what)) },
  { weight: 4, arbitrary: fc.tuple(slots, changes).map(([ slot, what ]) => update(slot, what)) },
  { weight: 2, arbitrary: slots.map(save) },
  { weight: 2, arbitrary: fc.tuple(slots, fc.nat(2)).map(([ slot, user ]) => assign(slot, { user })) },
  { weight: 1, arbitrary: slots.map(slot => assign(slot, null)) },
  { weight: 1, arbitrary: slots.map(regenerate) },
  { weight: 1, arbitrary: slots.map(destroy) },
  { weight: 1, arbitrary: fc.nat(5).map(removeElsewhere) },
) ], { maxCommands: 40, size: 'max' });

/** Every run begins with a session that is stored. */
const BEGIN = [ open(0, null), assign(0, { user: 0, a: 1, list: [ 1 ] }), finish(0) ];

let server: TestServer;
let memcached: TestServer;
let redis: Redis;
const STORES: Record<string, () => SessionStore> = {
  MemorySessionStore: () => new class extends MemorySessionStore {}(),
  RedisSessionStore: () => new class extends RedisSessionStore {
    protected readonly redis = redis;
  }(),
  'KeyvSessionStore on memcached': () => new class extends KeyvSessionStore {
    protected readonly keyv = new Keyv(new KeyvMemcache(`127.0.0.1:${memcached.port}`));
  }(),
  'a store with three methods': () => new MapStore(),
};

describe('up to four open requests of one session do with it what a simple model says', () => {
  let app: MockApplication;
  let client: Client;
  let ids: string[] = [];
  let lastId = 0;

  before(async () => {
    [ server, memcached ] = await Promise.all([ startRedis(), startMemcached() ]);
    redis = new Redis(server.port);
    const genid = () => {
      ids.push(`id${++lastId}`);
      return ids.at(-1)!;
    };
    app = await createApp('web', { session: { store: new MapStore(), genid } });
    client = await Client.of(app);
  });
  after(async () => {
    await client.close();
    await app.close();
    redis.disconnect();
    await Promise.all([ server.stop(), memcached.stop() ]);
  });

  for (const [ name, create ] of Object.entries(STORES)) {
    it(`with ${name}`, async () => {
      const store = create();
      app.sessionStore = store;
      await fc.assert(fc.asyncProperty(commands, async commands => {
        ids = [];
        const model: Model = { records: new Map(), ids: new Set(), requests: new Map() };
        const real = new Real(client, store, ids);
        try {
          for (const command of BEGIN) await command.run(model, real);
          await fc.asyncModelRun(() => ({ model, real }), commands);
          for (const slot of model.requests.keys()) await finish(slot).run(model, real);
        } finally {
          for (const { finish } of real.requests.values()) await finish().catch(() => undefined);
        }
      }), { numRuns: 600 });
      await store.close();
    });
  }
});
