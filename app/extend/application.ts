import type { Application } from 'egg';
import { setStore, usableStore } from '../../module/application/activeStore';
import type { SessionStoreLike } from '../../module/store/SessionStore';

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
    const store = typeof given === 'function' ? new given(app) : given;
    setStore(app, store ? usableStore(store) : undefined, `app.sessionStore (${store?.constructor?.name})`);
  },
};
