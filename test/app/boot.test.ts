import { strict as assert } from 'node:assert';
import type { Application } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import SessionBoot from '../../app';
import { touched } from '../fixtures/apps/unused-stores/lib/ForgottenStore';
import { type AppOptions, createApp } from '../support/app';
import { MapStore } from '../support/MapStore';

describe('what the log says when the application starts', () => {
  let app: MockApplication | undefined;
  let lines: string[];
  afterEach(async () => {
    await app?.close();
    app = undefined;
    mm.restore();
  });

  /** Starts an application, and collects what it says about itself. */
  async function start(name: string, options: AppOptions = {}) {
    lines = [];
    app = await createApp(name, {
      ...options,
      boot(booting) {
        for (const logger of [ booting.coreLogger, booting.logger ]) {
          for (const level of [ 'info', 'warn' ] as const) {
            mm(logger, level, (format: string, ...args: string[]) => {
              const line = args.reduce((text, arg) => text.replace('%s', arg), `${level} ${format}`);
              if (line.includes('[egg-tegg-session]')) lines.push(line);
            });
          }
        }
        options.boot?.(booting);
      },
    });
    return app as MockApplication & Application;
  }
  const KEPT = 'info [egg-tegg-session] sessions are kept in';

  describe('is where sessions are kept:', () => {
    it('the cookie', async () => {
      await start('web', { session: { key: 'sid' } });
      assert.deepEqual(lines, [ `${KEPT} the cookie sid` ]);
    });

    it('config.session.store', async () => {
      await start('web', { session: { store: new MapStore() } });
      assert.deepEqual(lines, [ `${KEPT} config.session.store` ]);
    });

    it('config.session.ContextStore', async () => {
      await start('web', { session: { store: new MapStore(), ContextStore: class CtxStore extends MapStore {} } });
      assert.deepEqual(lines, [ `${KEPT} config.session.ContextStore (CtxStore)` ]);
    });

    it('app.sessionStore, and again when it changes', async () => {
      const { sessionStore } = await start('web', {
        boot(booting) {
          booting.beforeStart(async () => {
            booting.sessionStore = new MapStore();
          });
        },
      });
      assert.ok(sessionStore);
      assert.deepEqual(lines, [ `${KEPT} app.sessionStore (MapStore)` ]);
      app!.sessionStore = null;
      app!.sessionStore = class OtherStore extends MapStore {};
      assert.deepEqual(lines.slice(1), [ `${KEPT} the cookie EGG_SESS`, `${KEPT} app.sessionStore (OtherStore)` ]);
    });

    it('a tegg class, with its file', async () => {
      await start('failing-store');
      assert.equal(lines.length, 1);
      assert.match(lines[0], /kept in FailingStore \(.*failing-store\/modules\/one\/FailingStore\.ts\)$/);
    });
  });

  it('is which classes look like a store and are none', async () => {
    await start('unused-stores');
    const [ kept, ...warnings ] = lines;
    assert.match(kept, /kept in AppStore \(/);
    warnings.sort();
    assert.equal(warnings.length, 2, warnings.join('\n'));
    assert.match(warnings[0], /^warn .* ForgottenStore \(.*unused-stores\/lib\/ForgottenStore\.ts\) is not the session store, as tegg does not load its folder: add "eggModule"/);
    assert.match(warnings[1], /^warn .* PlainStore \(.*unused-stores\/modules\/one\/stores\.ts\) is not the session store, as nothing decorates it: add @SingletonProto\(\)/);
    assert.deepEqual(touched, []);
  });

  it('is no warning for a class that the application has put in use itself', async () => {
    await start('unused-stores', {
      boot(booting) {
        booting.ready(() => lines.splice(0));
      },
    });
    const { PlainStore } = await import('../fixtures/apps/unused-stores/modules/one/stores');
    await app!.close();
    await start('unused-stores', {
      boot(booting) {
        booting.beforeStart(async () => {
          await (booting as unknown as { moduleHandler: { ready(): Promise<void> } }).moduleHandler.ready();
          await new Promise(setImmediate); // the plugin puts its own in use first
          booting.sessionStore = new PlainStore();
        });
      },
    });
    assert.match(lines[0], /kept in app\.sessionStore \(PlainStore\)/);
    assert.deepEqual(lines.slice(1).map(line => /\] (\w+) /.exec(line)![1]), [ 'ForgottenStore' ]);
  });
});

it('an application whose tegg reads its modules later does not start, and the error says which versions this one is for', () => {
  const boot = new SessionBoot({ config: { coreMiddleware: [] } } as unknown as Application);
  assert.throws(() => boot.configWillLoad(), { message: /^\[egg-tegg-session\] this version is for tegg 3, on Egg 3 or 4\.0: .* Install egg@~4\.0/, code: 'ERR_SESSION_SETUP' });
});
