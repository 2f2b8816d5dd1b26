import { strict as assert } from 'node:assert';
import { EventEmitter, on } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import type { Context } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import fc from 'fast-check';
import Redis from 'ioredis';
import { RedisSessionStore, type SessionStore, type SessionStoreOptions } from '../..';
import { Client, createApp } from '../support/app';
import { MapStore } from '../support/MapStore';
import { startRedis, type TestServer } from '../support/servers';

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

const DAY = 24 * 3600 * 1000;

/** The time, in ms, that an answer of the store counts for an id which the request itself has made. */
const WAY_OUT = 500;

/** By how many ms the process is ahead of the clock. */
let late = 0;

/** An id that the application is about to make. */
const NEW = 'new';

/** What is stored under an id: the data with their lifetime in ms, or what is left of a session that ended or moved. */
type Stored = { data: Data; maxAge: number } | { successor: string | null };

/** What is stored, as far as the model knows. */
class Records {
  private readonly all = new Map<string, Stored>();

  /** @param leavesTombstones whether the store does */
  constructor(private readonly leavesTombstones: boolean) {}

  get(id: string | undefined): Stored | undefined {
    return this.all.get(id!);
  }

  alive(id: string | undefined) {
    const stored = this.get(id);
    return stored && 'data' in stored ? stored : undefined;
  }

  set(id: string, data: Data, maxAge: number) {
    this.all.set(id, { data: json(data), maxAge });
  }

  /** Takes a record away. */
  retire(id: string, successor: string | null) {
    const stored = this.get(id);
    if (!stored || 'successor' in stored) return stored;
    if (this.leavesTombstones) this.all.set(id, { successor });
    else this.all.delete(id);
    return stored;
  }

  delete(id: string) {
    this.all.delete(id);
  }

  /** Gives what was stored as new the id that the application has made. */
  name(id: string) {
    const stored = this.all.get(NEW);
    this.all.delete(NEW);
    if (stored) this.all.set(id, stored);
    for (const each of this.all.values()) if ('successor' in each && each.successor === NEW) each.successor = id;
  }

  get ids() {
    return [ ...this.all.keys() ];
  }
}

/** What one request must see and do. */
class RequestModel {
  state: 'new' | 'kept' | 'ended' | 'destroyed' = 'new';
  /** The session; null when it was destroyed. */
  data: Data | null = {};
  id?: string;
  /** The lifetime that the session shows. */
  maxAge = DAY;
  private choseMaxAge = false;
  /** The data as this request knows that they are stored. */
  private base: Data = {};
  /** The data that the request began with. */
  private loaded: Data = {};
  /** Whether the session is one that was assigned to `ctx.session` since it was last stored. */
  replaced = false;
  private cookieIsDue = false;
  /** The fields that still have the object that was loaded, changed inside or not. */
  private given = new Set<string>();
  /** What the response does to the browser's cookie. */
  cookie: 'keeps' | 'sets' | 'drops' = 'keeps';

  constructor(private readonly records: Records, private readonly cameWith: string | undefined) {
    const id = cameWith;
    const stored = records.get(id);
    if (!stored) return;
    this.id = id;
    if ('successor' in stored) {
      this.state = 'ended';
      return;
    }
    this.state = 'kept';
    this.data = json(stored.data);
    this.base = json(stored.data);
    this.loaded = json(stored.data);
    this.given = new Set(Object.keys(stored.data));
    this.maxAge = stored.maxAge;
  }

  change(change: Change['apply'], field?: string) {
    const data = json(this.data!);
    change(data);
    this.data = json(data);
    if (field) this.given.delete(field);
  }

  choose(maxAge: number) {
    this.maxAge = maxAge;
    this.choseMaxAge = true;
  }

  assign(data: Data | null) {
    this.data = json(data);
    if (!data) return;
    if (this.state === 'destroyed') this.state = 'new';
    this.base = {};
    this.given = new Set();
    this.replaced = this.state === 'kept';
  }

  /** Returns the error that the request must see. */
  save(): RegExp | undefined {
    this.commit(true);
    return this.state === 'ended' ? /has ended/ : undefined;
  }

  commit(forced = false) {
    const { records, data, base, replaced, state } = this;
    if (!data) return this.destroy();
    const changed = replaced || !isDeepStrictEqual(data, base);
    if (!changed && !this.choseMaxAge && !forced) {
      if (this.cookieIsDue) this.cookie = 'sets';
      return;
    }
    if (state === 'new') return this.begin();
    const latest = state === 'kept' && records.alive(this.id);
    if (!latest) return this.end();
    this.keep(replaced ? data : merge(base, data, latest.data), data, latest.maxAge);
  }

  /** A cookie that was set for a session that has ended since is taken back. */
  confirm() {
    if (this.state === 'kept' && this.cookie !== 'keeps' && !this.records.alive(this.id)) this.end();
  }

  destroy() {
    if (this.state === 'destroyed') return;
    let endedElsewhere = false;
    for (let id = this.state === 'new' ? null : this.id!; id !== null;) {
      const left = this.records.retire(id, null);
      const successor = left && 'successor' in left ? left.successor : undefined;
      endedElsewhere ||= successor !== undefined;
      id = successor ?? null;
    }
    this.state = 'destroyed';
    this.data = null;
    this.forgetMaxAge();
    this.cookie = endedElsewhere || this.cameWith === undefined ? 'keeps' : 'drops';
    this.cookieIsDue = false;
  }

  regenerate() {
    const { records, base } = this;
    if (this.state === 'kept') {
      const left = records.retire(this.id!, NEW);
      if (left && 'data' in left) {
        if (!this.replaced) this.show(merge(base, this.data!, left.data));
        if (!this.choseMaxAge) this.maxAge = left.maxAge;
      } else {
        this.forgetMaxAge();
        this.keepOwn();
      }
    } else if (this.state === 'ended') {
      this.keepOwn();
    }
    this.begin();
  }

  /** Returns the error that the request must see. */
  update(change: Change['apply']): RegExp | undefined {
    const { records, data, base } = this;
    if (!data) return /was destroyed/;
    if (this.state === 'new') {
      this.change(change);
      return undefined;
    }
    const latest = this.state === 'kept' && records.alive(this.id);
    if (!latest) {
      this.end();
      return /has ended/;
    }
    const result = this.replaced ? json(data) : merge(base, data, latest.data);
    change(result);
    const written = this.choseMaxAge || !isDeepStrictEqual(json(result), latest.data);
    const { cookie, cookieIsDue } = this;
    this.show(json(result));
    this.keep(json(result), json(result), latest.maxAge);
    this.cookie = cookie;
    this.cookieIsDue = cookieIsDue || written;
    return undefined;
  }

  /** What another request had kept is not this one's any more. */
  private keepOwn() {
    if (this.replaced) {
      const fields = Object.entries(this.data!);
      this.data = Object.fromEntries(fields.filter(([ field, value ]) => !isDeepStrictEqual(this.loaded[field], value)));
      return;
    }
    const own = Object.entries(this.data!).filter(([ field, value ]) =>
      !isDeepStrictEqual(this.base[field], value) && !(this.given.has(field) && typeof value === 'object'));
    this.data = Object.fromEntries(own);
  }

  private show(data: Data) {
    for (const field of Object.keys(data)) if (!isDeepStrictEqual(data[field], this.data![field])) this.given.add(field);
    this.data = data;
  }

  private begin() {
    this.id = NEW;
    this.state = 'kept';
    this.choseMaxAge = true;
    this.keep(this.data!, this.data!, this.maxAge);
  }

  private keep(record: Data, shown: Data, latestMaxAge: number) {
    if (!this.choseMaxAge) this.maxAge = latestMaxAge;
    this.records.set(this.id!, record, this.maxAge);
    this.data = shown;
    this.base = shown;
    this.replaced = false;
    this.choseMaxAge = false;
    this.cookie = 'sets';
    this.cookieIsDue = false;
  }

  /** The lifetime of a session that has ended is none of the next one's. */
  private forgetMaxAge() {
    if (!this.choseMaxAge) this.maxAge = DAY;
  }

  private end() {
    this.state = 'ended';
    this.forgetMaxAge();
    this.cookie = 'keeps';
    this.cookieIsDue = false;
  }
}

interface Model {
  records: Records;
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

  async record(id: string): Promise<Stored | undefined> {
    const record = await this.store.get(id, DAY, {} as SessionStoreOptions);
    if (!record) return undefined;
    if ('_successor' in record) return { successor: record._successor as string | null };
    const data = Object.fromEntries(Object.entries(record).filter(([ field ]) => field[0] !== '_'));
    return { data, maxAge: record._maxAge as number };
  }
}

/** After a step of a request, the session is as the model says, and so is all that is stored. */
async function check(model: Model, request: RequestModel, { session }: Context, real: Real) {
  if (request.id === NEW) {
    const id = session.externalKey!;
    assert.ok(!model.ids.has(id), `${id} is not new`);
    model.ids.add(id);
    request.id = id;
    model.records.name(id);
  }
  assert.deepEqual(session && json(session.toJSON()), request.data, 'the session');
  if (session) assert.equal(session.maxAge, request.maxAge, 'its lifetime');
  if (session && request.state === 'kept') assert.equal(session.externalKey, request.id);
  await checkRecords(model, real);
}

async function checkRecords(model: Model, real: Real) {
  const stored = await Promise.all(real.ids.map(async id => [ id, await real.record(id) ] as const));
  // an id that no session was given may have a tombstone: the session had ended before it could move there
  const known = stored.filter(([ id, record ]) => model.ids.has(id) || (record && 'data' in record));
  assert.deepEqual(known, known.map(([ id ]) => [ id, model.records.get(id) ]), 'what is stored');
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
    request.confirm();
    const { ctx, finish } = real.requests.get(slot)!;
    const { cookie, value } = await finish();
    await check(model, request, ctx, real);
    assert.equal(cookie, request.cookie, 'what the response does to the cookie');
    if (cookie === 'sets') real.cookies.set(request.id!, value!);
    if (cookie !== 'keeps') model.id = cookie === 'sets' ? request.id : undefined;
  },
  toString: () => `${slot}: end`,
});

const removeElsewhere = (nth: number): Command => ({
  check: ({ records }) => records.ids.length > 0,
  async run(model, real) {
    const { ids } = model.records;
    const id = ids[nth % ids.length];
    model.records.delete(id);
    await real.store.destroy(id, {} as SessionStoreOptions);
    late += WAY_OUT;
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
  /** The field that it assigns; one that it only changes inside is not. */
  field?: string;
  apply(data: Data): unknown;
}

const setField = (field: string, value: unknown): Change => ({
  title: `${field} = ${JSON.stringify(value)}`,
  field,
  apply: data => {
    data[field] = structuredClone(value);
  },
});
const fields = fc.constantFrom('a', 'b', 'list');
const changes = fc.oneof(
  fc.tuple(fields, fc.constantFrom(1, 2, 'x', null, [], {})).map(([ field, value ]) => setField(field, value)),
  fields.map(field => ({ title: `delete ${field}`, field, apply: (data: Data) => delete data[field] })),
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

const change = (slot: number, { title, field, apply }: Change) =>
  step(title, slot, request => request.change(apply, field), apply);
const update = (slot: number, { title, apply }: Change) =>
  step(`update: ${title}`, slot, request => request.update(apply), session => session.update(apply), false);
const assign = (slot: number, data: Data | null) =>
  step(`ctx.session = ${JSON.stringify(data)}`, slot, request => request.assign(data), (_, ctx) => {
    ctx.session = data as any;
  }, data === null);
const save = (slot: number) =>
  step('save()', slot, request => request.save(), session => session.save());
const choose = (slot: number, maxAge: number) =>
  step(`maxAge = ${maxAge}`, slot, request => request.choose(maxAge), session => {
    session.maxAge = maxAge;
  });
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
  { weight: 1, arbitrary: fc.tuple(slots, fc.constantFrom(DAY, DAY / 24, 20 * DAY)).map(([ slot, maxAge ]) => choose(slot, maxAge)) },
  { weight: 2, arbitrary: fc.tuple(slots, fc.nat(2)).map(([ slot, user ]) => assign(slot, { user })) },
  { weight: 1, arbitrary: slots.map(slot => assign(slot, null)) },
  { weight: 1, arbitrary: slots.map(regenerate) },
  { weight: 1, arbitrary: slots.map(destroy) },
  { weight: 1, arbitrary: fc.nat(5).map(removeElsewhere) },
) ], { maxCommands: 40, size: 'max' });

/** Every run begins with a session that is stored. */
const BEGIN = [ open(0, null), assign(0, { user: 0, a: 1, list: [ 1 ] }), finish(0) ];

let server: TestServer;
let redis: Redis;
/** One with all methods, and one with three. */
const STORES: Record<string, () => SessionStore> = {
  RedisSessionStore: () => new class extends RedisSessionStore {
    protected readonly redis = redis;
  }(),
  'a store with three methods': () => new MapStore(),
};

describe('up to four open requests of one session do with it what a simple model says', () => {
  let app: MockApplication;
  let client: Client;
  let ids: string[] = [];
  let lastId = 0;

  before(async () => {
    server = await startRedis();
    redis = new Redis(server.port);
    const genid = () => {
      ids.push(`id${++lastId}`);
      return ids.at(-1)!;
    };
    app = await createApp('web', { session: { store: new MapStore(), genid } });
    client = await Client.of(app);
  });
  before(() => {
    for (const clock of [ Date, performance ]) {
      const now = clock.now.bind(clock);
      mm(clock, 'now', () => now() + late);
    }
  });
  after(async () => {
    mm.restore();
    await client.close();
    await app.close();
    redis.disconnect();
    await server.stop();
  });

  for (const [ name, create ] of Object.entries(STORES)) {
    it(`with ${name}`, async () => {
      const store = create();
      app.sessionStore = store;
      await fc.assert(fc.asyncProperty(commands, async commands => {
        ids = [];
        const model: Model = { records: new Records(store.retire !== undefined), ids: new Set(), requests: new Map() };
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
