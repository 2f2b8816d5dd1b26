import path from 'node:path';
import type { Application, IBoot } from 'egg';
import type {} from '@eggjs/tegg-config';
import type {} from '@eggjs/tegg-plugin';
import { coded } from './module/record/errors';
import { mountSession } from './app/middleware/session';
import './index';
import { logEvent } from './module/access/SessionLogger';
import { describeClass, discoverStore, provideActiveStore, provideSession, releaseSharedObjects } from './module/access/tegg';
import { activeStore, announceStore, checkStore, requireStoreWhenReady, setStore, usableStore } from './module/application/activeStore';
import { addApplication, aliveApplications } from './module/application/applications';
import { explainUnknownName, warnOfMisplaced } from './module/hints/injection';
import { review, warnOfMistakes, warnOfOptionsWithoutEffect } from './module/hints/review';
import { sourceClasses } from './module/hints/sourceClasses';
import { warnOfUnusedStores } from './module/hints/unusedStores';
import { resolveConfig } from './module/options/SessionConfig';
import { LOGGED } from './module/record/events';
import { environmentOf } from './module/request/environment';
import { SqlSessionStore } from './module/database/SqlSessionStore';
import { sweepEvery } from './module/database/sweep';
import { RedisSessionStore } from './module/store/RedisSessionStore';
import type { SessionStore } from './module/store/SessionStore';

const MODULE = { name: 'session', path: path.join(__dirname, 'module') };

export default class SessionBoot implements IBoot {
  private foundStore!: ReturnType<typeof discoverStore>;
  private loaded = false;
  /** What takes back what was registered, the last first. */
  private readonly undo: Array<() => void> = [];

  constructor(private readonly app: Application) {}

  configWillLoad() {
    const { moduleReferences, moduleConfigs, config: { coreMiddleware } } = this.app;
    if (!moduleReferences) {
      throw coded('ERR_SESSION_SETUP', new Error('[egg-tegg-session] this version is for tegg 3, on Egg 3 or 4.0: the tegg of this application has not read ' +
        'its modules yet, as that of Egg 4.1 does it later. Install egg@~4.0 and @eggjs/tegg@3, or a later version of egg-tegg-session'));
    }
    const taken = moduleReferences.find(({ name }) => name === MODULE.name);
    if (taken) {
      throw coded('ERR_SESSION_SETUP', new Error(`[egg-tegg-session] the tegg module in ${taken.path} is named \`session\`, which is the name of ` +
        'this plugin\'s own: change eggModule.name in its package.json'));
    }
    this.app.moduleReferences = [ ...moduleReferences, MODULE ];
    moduleConfigs[MODULE.name] = { name: MODULE.name, reference: MODULE, config: {} };

    // the session is loaded before tegg creates the request's objects, and saved after they are done; teggController, which
    // comes before this plugin, has put there what finds the controller that the request goes to
    coreMiddleware.splice(coreMiddleware.indexOf('teggCtxLifecycleMiddleware'), 0, 'session');
  }

  configDidLoad() {
    const { app } = this;
    // a wrong option stops the application here, before it connects to anything; it may still change options
    resolveConfig(app.config.session, app.config.cookies);
    provideSession(app);
    this.foundStore = discoverStore(app);
    this.undo.push(provideActiveStore(app), addApplication(app));
  }

  async didLoad() {
    try {
      await this.app.moduleHandler.ready();
    } catch (err) {
      explainUnknownName(this.app, err as Error);
      return; // tegg stops the application with that error; with a second one, nobody would be listening any more
    }
    this.loaded = true;
    const clazz = this.foundStore();
    if (!clazz) return;
    const store = await this.app.getEggObject(clazz) as SessionStore;
    setStore(this.app, usableStore(store), describeClass(clazz), true);
  }

  async willReady() {
    const { app } = this;
    if (!this.loaded) return; // Egg goes on with an application whose configDidLoad has thrown
    mountSession(app);
    requireStoreWhenReady(app);
    // hooks run the last first: what the sessions are kept in must not close before they are saved. Egg 4 has deprecated
    // app.beforeClose, which does no more than this
    const { lifecycle } = app as unknown as { lifecycle: { registerBeforeClose(hook: () => Promise<void>): void } };
    lifecycle.registerBeforeClose(() => environmentOf(app).running.settled());
    for (const name of LOGGED) app.on(`session:${name}`, event => logEvent(name, event));
    await checkStore(app);
  }

  async didReady(err?: Error) {
    if (err || !this.loaded) {
      this.withdraw();
      return;
    }
    announceStore(this.app);
    review(this.app);
    warnOfMistakes(this.app);
    warnOfOptionsWithoutEffect(this.app);
    const { store } = activeStore(this.app);
    // not waited for: its server need not be there yet
    if (store instanceof RedisSessionStore) store.reviewServer(this.app.coreLogger).catch(() => undefined);
    if (store instanceof SqlSessionStore) {
      this.undo.push(sweepEvery(() => store.removeExpiredInTurn(), store.removeExpiredEvery, err => this.app.coreLogger.warn(
        '[egg-tegg-session] rows of expired sessions could not be deleted: %s. The next attempt is in %d ms', err.message, store.removeExpiredEvery)));
    }
    const sources = this.app.config.env === 'prod' ? [] : sourceClasses(this.app);
    warnOfUnusedStores(this.app, sources, this.foundStore());
    warnOfMisplaced(this.app, sources);
  }

  async beforeClose() {
    this.withdraw();
    releaseSharedObjects(this.app, aliveApplications());
  }

  private withdraw() {
    for (const undo of this.undo.splice(0).reverse()) undo();
  }
}
