import { strict as assert } from 'node:assert';
import type { Application } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import type { SessionEvents } from '../..';
import { type Client, later } from '../support/app';
import { MapStore } from '../support/MapStore';
import { DAY, start, stop } from '../support/web';

/** Those of device-bound sessions need another application; they are told in the same way. */
type Name = Exclude<keyof SessionEvents, 'session:bound' | 'session:unproven'>;

/** Has the application tell each of the events, with a browser that is signed in; what else it tells is no matter. */
const CAUSES: Record<Name, (site: { browser: Client; store: FailingStore; refuse(): void }) => unknown> = {
  'session:created': ({ browser }) => browser.another().run(signIn),
  'session:regenerated': ({ browser }) => browser.run(session => session.regenerate()),
  'session:destroyed': ({ browser }) => browser.run(session => session.destroy()),
  'session:expired': ({ browser }) => {
    later(DAY + 5000);
    return browser.run(session => session.userId);
  },
  'session:invalid': ({ browser, refuse }) => {
    refuse();
    return browser.run(session => session.userId);
  },
  'session:missed': ({ browser, store }) => {
    store.entries.clear();
    return browser.run(session => session.userId);
  },
  'session:storeError': ({ browser, store }) => {
    store.error = new Error('not now');
    return browser.tryRun(session => session.userId);
  },
};
const NAMES = Object.keys(CAUSES) as Name[];

class FailingStore extends MapStore {
  error?: Error;

  override async get(key: string) {
    if (this.error) throw this.error;
    return await super.get(key);
  }
}

const signIn = (session: any) => {
  session.userId = 7;
};

const unreadable = Object.defineProperty({}, 'then', {
  get() {
    throw new Error('a bad then');
  },
});

/** How a listener fails, and what the log has of it. */
const FAULTS: Array<[ what: string, fail: () => unknown, logged: RegExp ]> = [
  [ 'throws', () => { throw new TypeError('a bad listener'); }, /TypeError: a bad listener\n +at / ],
  [ 'rejects', async () => { throw new TypeError('a bad listener'); }, /TypeError: a bad listener\n +at / ],
  [ 'rejects later', () => new Promise((_, reject) => { setImmediate(reject, new Error('a late one')); }), /Error: a late one/ ],
  [ 'throws null', () => { throw null; }, /null/ ], // eslint-disable-line no-throw-literal
  [ 'rejects with undefined', async () => { throw undefined; }, /undefined/ ], // eslint-disable-line no-throw-literal
  [ 'throws what can\'t be printed', () => { throw new Proxy(new Error(), { get() { throw new Error('no'); } }); }, /./ ],
  [ 'returns what can\'t be awaited', () => unreadable, /a bad then/ ],
];

describe('a listener of an event that fails', () => {
  let app: MockApplication;
  let site: Awaited<ReturnType<typeof start>>;
  let store: FailingStore;
  let refuses: boolean;
  let unhandled: unknown[];
  let others: NodeJS.UncaughtExceptionListener[];
  const note = (err: unknown) => unhandled.push(err);

  before(async () => {
    store = new FailingStore();
    site = await start({ store, valid: () => !refuses });
    ({ app } = site);
    events().setMaxListeners(0);
  });
  beforeEach(async () => {
    unhandled = [];
    // what ends a worker would be mocha's to tell, of another test
    others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', note);
    process.on('unhandledRejection', note);
    refuses = false;
    store.error = undefined;
    mm.consoleLevel('NONE');
    app.mockLog('coreLogger');
    await site.run(signIn);
  });
  afterEach(() => {
    mm.restore();
    process.off('uncaughtException', note);
    process.off('unhandledRejection', note);
    for (const listener of others) process.on('uncaughtException', listener);
    site.client.cookies.clear();
    for (const name of NAMES) for (const listener of ours) events().off(name, listener as never);
    ours.clear();
  });
  after(stop);

  const events = () => app as unknown as Application;
  const ours = new Set<unknown>();
  const listen = (how: 'on' | 'once' | 'prependListener' | 'prependOnceListener', name: Name, listener: (...args: any[]) => unknown) => {
    events()[how](name, listener);
    ours.add(listener);
  };
  const cause = async (name: Name) => {
    const told = new Promise(resolve => { events().prependOnceListener(name, resolve); });
    await CAUSES[name]({ browser: site.client, store, refuse: () => { refuses = true; } });
    await told;
    // what a listener may have put off
    for (let i = 0; i < 3; i++) await new Promise(resolve => { setImmediate(resolve); });
  };
  const lines = () => (app.getLogger('coreLogger') as unknown as { _mockLogs: string[] })._mockLogs;

  for (const name of NAMES) {
    it(`${name}: is logged with the event's name, and all others are told, each in its turn`, async () => {
      const told: string[] = [];
      listen('on', name, () => told.push('first'));
      for (const [ i, [ , fail ]] of FAULTS.entries()) {
        listen('on', name, () => {
          told.push(`fault ${i}`);
          return fail();
        });
      }
      listen('on', name, () => told.push('last'));
      await cause(name);
      assert.deepEqual(told, [ 'first', ...FAULTS.map((_, i) => `fault ${i}`), 'last' ]);
      const logged = lines().filter(line => line.includes(`[egg-tegg-session] a listener of ${name} has failed`));
      assert.equal(logged.length, FAULTS.length);
      for (const [ what, , text ] of FAULTS) assert.ok(logged.some(line => text.test(line)), what);
      assert.deepEqual(unhandled, []);
      store.error = undefined;
      refuses = false;
      assert.equal((await site.client.another().run(signIn)).status, 200);
    });
  }

  it('is told no second time when it was to be told once, and one that is put before others comes first', async () => {
    const told: string[] = [];
    listen('on', 'session:created', () => told.push('on'));
    listen('once', 'session:created', () => {
      told.push('once');
      throw new Error('once');
    });
    listen('prependOnceListener', 'session:created', async () => {
      told.push('before');
      throw new Error('before');
    });
    await cause('session:created');
    assert.deepEqual(told, [ 'before', 'on', 'once' ]);
    await cause('session:created');
    assert.deepEqual(told, [ 'before', 'on', 'once', 'on' ]);
    assert.deepEqual(unhandled, []);
  });

  it('is called as the application, with the event, as `emit` would', async () => {
    const calls: Array<[ self: unknown, args: unknown[] ]> = [];
    listen('on', 'session:created', function(this: unknown, ...args: unknown[]) {
      calls.push([ this, args ]);
    });
    await cause('session:created');
    const [[ self, args ]] = calls;
    assert.equal((self as Application).context, events().context);
    assert.equal(args.length, 1);
    assert.equal((args[0] as SessionEvents['session:created']).ctx.app.context, events().context);
  });

  it('may fail at what it was given: `value` is undefined of a session that is not there', async () => {
    listen('on', 'session:missed', ({ value }) => value.userId);
    await cause('session:missed');
    assert.match(lines().join(''), /a listener of session:missed has failed.*Cannot read properties of undefined/);
    assert.deepEqual(unhandled, []);
  });
});
