import assert from 'node:assert';
import { types } from 'node:util';
import co from 'co';
import type { Application } from 'egg';
import type { SessionStoreLike } from '../../module/store/SessionStore';
import { setStore } from '../../module/store/activeStore';

type StoreClass = new (app: Application) => SessionStoreLike;

/** egg-session's `app.sessionStore`; it also takes effect while the application is running. */
export default {
  get sessionStore(): SessionStoreLike | null | undefined {
    return (this as unknown as Application).config.session.store;
  },

  /**
   * A store, a class of one that is given the application, or `null` to keep sessions in the cookie. Its methods may be
   * async functions or generator functions. It takes the place of the stores in `config.session`.
   *
   * @throws AssertionError when a method is missing
   */
  set sessionStore(given: SessionStoreLike | StoreClass | null | undefined) {
    const app = this as unknown as Application;
    const { config } = app;
    if (config.session.store && config.env !== 'unittest') {
      app.logger.warn('[egg-tegg-session] sessionStore already exists and will be overwritten');
    }
    const store = typeof given === 'function' ? new given(app) : given;
    if (store) {
      const methods = store as unknown as Record<string, unknown>;
      for (const name of [ 'get', 'set', 'destroy' ]) {
        const method = methods[name];
        assert(typeof method === 'function', `store.${name} must be function`);
        if (types.isGeneratorFunction(method)) methods[name] = co.wrap(method as () => Generator);
      }
    }
    setStore(app, store || undefined, `app.sessionStore (${store?.constructor?.name})`);
  },
};
