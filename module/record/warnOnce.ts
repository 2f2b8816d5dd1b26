import type { Application } from 'egg';

/** The most warnings of one kind in an application: the names of fields may come from its users. */
const MOST = 100;

/** By `app.context`: egg-mock has an object of its own for the application. */
const told = new WeakMap<object, Set<string>>();

/** Warns in the log of an application, once of each thing. */
export function warnOnce(app: Application, thing: string, text: string, ...args: unknown[]): void {
  let things = told.get(app.context);
  if (!things) told.set(app.context, things = new Set());
  if (things.has(thing) || things.size >= MOST) return;
  things.add(thing);
  app.coreLogger.warn(text, ...args);
}
