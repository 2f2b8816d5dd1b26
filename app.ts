import path from 'node:path';
import type { Application, IBoot } from 'egg';
import type {} from '@eggjs/tegg-config';
import type {} from '@eggjs/tegg-plugin';
import './index';
import { mountSession } from './app/middleware/session';
import type { SessionConfig } from './module/SessionConfig';
import type { SessionLogger } from './module/SessionLogger';
import type { SessionStore } from './module/store/SessionStore';
import { MemorySessionStore } from './module/store/MemorySessionStore';
import { discoverStore, provideActiveStore, provideSession } from './module/tegg';

const MODULE = { name: 'session', path: path.join(__dirname, 'module') };

export default class SessionBoot implements IBoot {
  private findStore!: () => Promise<SessionStore | undefined>;
  private withdrawActiveStore!: () => void;

  constructor(private readonly app: Application) {}

  configWillLoad() {
    const { moduleReferences, moduleConfigs, config: { coreMiddleware } } = this.app;
    const taken = moduleReferences.find(({ name }) => name === MODULE.name);
    if (taken) {
      throw new Error(`[egg-tegg-session] the tegg module in ${taken.path} is named \`session\`, which is the name of ` +
        'this plugin\'s own: change eggModule.name in its package.json');
    }
    this.app.moduleReferences = [ ...moduleReferences, MODULE ];
    moduleConfigs[MODULE.name] = { name: MODULE.name, reference: MODULE, config: {} };

    // the session is loaded before tegg creates the request's objects, and saved after they are done
    coreMiddleware.splice(coreMiddleware.indexOf('teggCtxLifecycleMiddleware'), 0, 'session');
  }

  configDidLoad() {
    if (this.app.config.session.httpOnly === false) {
      this.app.logger.warn('[egg-tegg-session]: please set `config.session.httpOnly` to true. ' +
        'It is very dangerous if session can read by client JavaScript.');
    }
    provideSession(this.app);
    this.findStore = discoverStore(this.app);
    this.withdrawActiveStore = provideActiveStore(this.app);
  }

  async didLoad() {
    await this.app.moduleHandler.ready();
    const store = await this.findStore();
    if (!store) return;
    if (store instanceof MemorySessionStore) this.warnOfMemory();
    this.app.sessionStore = store;
  }

  async willReady() {
    const { app } = this;
    mountSession(app, await app.getEggObjectFromName<SessionConfig>('sessionConfig'));
    const logger = await app.getEggObjectFromName<SessionLogger>('sessionLogger');
    for (const name of [ 'missed', 'expired', 'invalid' ] as const) {
      app.on(`session:${name}`, event => logger.event(name, event));
    }
  }

  private warnOfMemory() {
    const { config, logger, options: { workers = 1 } } = this.app as Application & { options: { workers?: number } };
    if (config.env !== 'prod' && workers < 2) return;
    logger.warn('[egg-tegg-session] MemorySessionStore is for development and tests: sessions are lost when the process ' +
      'ends, and each worker has its own. Use RedisSessionStore, or another store that workers share');
  }

  async beforeClose() {
    this.withdrawActiveStore();
  }
}
