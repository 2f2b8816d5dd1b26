import { EventEmitter } from 'node:events';
import type { Application, Context } from 'egg';
import { MemorySessionStore, type SessionOptions, type SessionRecord } from '../..';
import type { DataCookie } from '../../module/cookie/DataCookie';
import type { IdTransport } from '../../module/cookie/IdTransport';
import { resolveConfig } from '../../module/options/SessionConfig';
import type { ContextSession } from '../../module/record/SessionData';
import type { SessionEnvironment, SessionMethods } from '../../module/request/environment';
import { RequestSession } from '../../module/request/RequestSession';
import { RunningRequests } from '../../module/request/RunningRequests';
import { ChangeClock } from '../../module/store/ChangeClock';
import { Deadlines } from '../../module/store/Deadlines';
import { GuardedStore, type Store } from '../../module/store/GuardedStore';
import { StoreAdapter } from '../../module/store/StoreAdapter';
import { StoreHealth } from '../../module/store/StoreHealth';

const LOGGER = { error() { /* not looked at */ }, warn() { /* not looked at */ }, info() { /* not looked at */ } };
const MINUTE = 60_000;

/** What stands for a browser: the ids that it sends, the first of which the responses set, or the data of a session in the cookie. */
export interface Visitor {
  ids: string[];
  data?: SessionRecord;
}

/** What a response does to the cookie. */
type Cookie = { id: string; isGood(): boolean } | { data: SessionRecord } | 'removed' | undefined;

/** A request, as a test looks at it. */
export interface Request {
  session: RequestSession;
  /** The data, to read and write. */
  data(): Record<string, any>;
  ctx: Context & { cookie: Cookie; headerSent: boolean; status?: number };
}

/** Serves requests as the middleware does, but without Egg: rules of a request's session take milliseconds here. */
export class Requests {
  readonly app = new EventEmitter() as unknown as Application;
  readonly memory?: MemorySessionStore;
  readonly clock = new ChangeClock();
  readonly env: SessionEnvironment;
  readonly store?: Store;
  /** How often the warning of session fixation was given. */
  fixations = 0;

  constructor(options: SessionOptions = {}, kept: 'in the store' | 'in the cookie' = 'in the store') {
    if (kept === 'in the store') this.memory = new class extends MemorySessionStore {}();
    Object.assign(this.app, { config: { env: 'prod', keys: 'a key' }, coreLogger: LOGGER });
    const health = new StoreHealth(LOGGER as never, MINUTE);
    if (this.memory) this.store = new GuardedStore(new StoreAdapter(this.memory), health, new Deadlines(MINUTE), this.clock, true);
    const config = resolveConfig({ key: 'sid', ...options });
    this.env = {
      app: this.app, config, lacksKeys: false, makesOwnIds: false, health, running: new RunningRequests(),
      hints: {
        assigned() { /* no hint */ }, saving() { /* no hint */ }, unchanged: undefined, usedTooEarly: undefined, notARecord() { /* no hint */ }, lifetime() { /* no hint */ },
        signedInWithOldId: () => this.fixations++,
      },
      data: DATA as unknown as DataCookie, ids: IDS, storeFor: () => this.store, options: config, createSession, usesSession: () => true,
    };
  }

  /** Serves a request, and has the visitor take its cookie; resolves to what it was. */
  async serve(visitor: Visitor, handle: (request: Request) => unknown = () => undefined): Promise<Request> {
    const request = this.request(visitor);
    await request.session.serve(async () => void await handle(request));
    const { ctx: { cookie } } = request;
    if (cookie === 'removed') Object.assign(visitor, { ids: [], data: undefined });
    else if (cookie && 'data' in cookie) visitor.data = cookie.data;
    else if (cookie && cookie.isGood()) visitor.ids = [ cookie.id ];
    return request;
  }

  /** A request that is not served yet. */
  request(visitor: Visitor): Request {
    const { env } = this;
    const ctx = {
      app: this.app, visitor, coreLogger: LOGGER, headerSent: false, secure: false, method: 'GET', path: '/', ip: '', cookie: undefined as Cookie,
      get sessionOptions(): unknown {
        return RequestSession.for(ctx as never, env).options;
      },
      get: () => '', set() { /* not looked at */ }, accepts: () => 'json',
      res: { getHeaderNames: () => [ 'x-session' ] }, response: {},
      remove() {
        ctx.cookie = undefined; // an answer of 503 begins anew
      },
    };
    const session = RequestSession.for(ctx as never, env);
    return { session, ctx: ctx as never, data: () => session.read() as Record<string, any> };
  }

  /** A visitor that has a session with these data. */
  async visitor(data: SessionRecord = { n: 1 }): Promise<Visitor> {
    const visitor: Visitor = { ids: [] };
    await this.serve(visitor, request => void Object.assign(request.data(), data));
    return visitor;
  }

  /** What is stored for a visitor; undefined for nothing, or a tombstone. */
  async record({ ids: [ id ], data }: Visitor): Promise<SessionRecord | undefined> {
    const record = this.memory ? await this.memory.get(this.store!.keyOf(id ?? '')) : data;
    return record && !('_successor' in record) ? record : undefined;
  }

  /** The data in that. */
  async stored(visitor: Visitor): Promise<SessionRecord | undefined> {
    const record = await this.record(visitor);
    return record && Object.fromEntries(Object.entries(record).filter(([ name ]) => name[0] !== '_'));
  }

  /** Ends a visitor's session as another process does, without a tick of this one's clock. */
  async endElsewhere({ ids: [ id ] }: Visitor): Promise<void> {
    await this.memory!.retire(this.store!.keyOf(id), null, MINUTE);
  }

  /** The number of sessions that are alive. */
  async count(): Promise<number> {
    let count = 0;
    for await (const keys of this.memory!.list()) for (const key of keys) count += Number(!('_successor' in (await this.memory!.get(key))!));
    return count;
  }
}

type WithVisitor = Context & { visitor: Visitor; cookie: Cookie };

const IDS: IdTransport = {
  read: ctx => (ctx as WithVisitor).visitor.ids.map(value => ({ value, stale: false })),
  write(ctx, id, isGood) {
    (ctx as WithVisitor).cookie = { id, isGood };
  },
  expire(ctx) {
    (ctx as WithVisitor).cookie = 'removed';
  },
  undo(ctx) {
    (ctx as WithVisitor).cookie = undefined;
  },
};

const DATA: Pick<DataCookie, 'read' | 'write' | 'expire'> = {
  read(ctx) {
    const { data } = (ctx as WithVisitor).visitor;
    return data && { value: data, stale: false, raw: '' };
  },
  write(ctx, data, maxAge, createdAt) {
    const lifetime = maxAge === 'session' ? { _session: true } : { _maxAge: maxAge, _expire: Date.now() + maxAge };
    (ctx as WithVisitor).cookie = { data: { ...data.toData(), ...lifetime, _createdAt: createdAt } };
  },
  expire: IDS.expire,
};

/** What koa-session makes of data. */
class Session {
  constructor(methods: SessionMethods, data: SessionRecord) {
    Object.defineProperty(this, 'maxAge', { get: () => methods.maxAge, set: value => (methods.maxAge = value) });
    Object.defineProperty(this, 'isNew', { value: true, writable: true });
    Object.assign(this, data);
  }

  toJSON() {
    return { ...this };
  }
}

const createSession: SessionEnvironment['createSession'] = (methods, _ctx, data) => new Session(methods, data) as unknown as ContextSession;
