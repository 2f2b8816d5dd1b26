import type { Application, Context } from 'egg';
import { coded } from '../record/errors';

/**
 * The applications of this process that have not been closed, the one booted last at the end. There may be several, as
 * in test suites, and tegg gives all of them the singletons that it has made for the first. So nothing that is injected
 * belongs to one application: it asks here.
 */
const alive: Application[] = [];

/** The one that was closed last: while tegg destroys its objects, they may still look at options. */
let closed: WeakRef<Application> | undefined;

/** Adds an application that is booting; what is returned takes it away again. */
export function addApplication(app: Application): () => void {
  alive.push(app);
  return () => {
    const index = alive.indexOf(app);
    if (index < 0) return;
    alive.splice(index, 1);
    closed = new WeakRef(app);
  };
}

export const aliveApplications = (): readonly Application[] => alive;

/** The request that is being answered, whichever application it came to; undefined outside a request. */
export function currentContext(): Context | undefined {
  return alive.at(-1)?.currentContext; // Egg keeps it for the whole process
}

/**
 * The application to work for: within a request the request's, else the one that was booted last of those that have not
 * been closed.
 *
 * @throws when all have been closed and are gone
 */
export function currentApp(): Application {
  const app = currentContext()?.app ?? alive.at(-1) ?? closed?.deref();
  if (!app) throw coded('ERR_SESSION_NOT_READY', new Error('[egg-tegg-session] the application has been closed'));
  return app;
}
