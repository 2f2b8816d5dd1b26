import { types } from 'node:util';
import type { Application } from 'egg';
import { kindOf } from '../record/kindOf';
import { printable } from '../record/printable';
import { hasToJson, isPlain, MAX_DEPTH } from '../record/storable';
import { warnOnce } from '../record/warnOnce';

/**
 * Says, but in production, which fields of a session will be something else when they are read again; once of each.
 *
 * @param app the application
 * @param data the session's data, which JSON can hold
 */
export function warnOfLostTypes(app: Application, data: object): void {
  if (app.config.env === 'prod') return;
  warnOfDropped(app, data);
  for (const [ name, value ] of Object.entries(data)) if (!isDropped(name, value)) warnOfLost(app, name, name, value, 1);
}

/** Warns of the fields that are dropped before anything is saved. */
export function warnOfDropped(app: Application, data: object): void {
  if (app.config.env === 'prod') return;
  for (const [ name, value ] of Object.entries(data)) {
    if (!isDropped(name, value) || value === undefined || OF_KOA.has(name)) continue;
    warnOnce(app, name, '[egg-tegg-session] session.%s is not stored, as %s: use another name, or keep it elsewhere', printable(name),
      name[0] === '_' ? 'names that start with _ are koa-session\'s own' : 'it is a function, which JSON can\'t hold');
  }
}

/** Warns of what was assigned to `ctx.session`, and is more than its fields, as a list or a Map is. */
export function warnOfNoFields(app: Application, assigned: object): void {
  const kind = Object.prototype.toString.call(assigned).slice(8, -1);
  if (app.config.env === 'prod' || kind === 'Object') return;
  warnOnce(app, `ctx.session ${kind}`, '[egg-tegg-session] ctx.session was set to %s, of which a session keeps only the fields: put it into one, like ' +
    'ctx.session = { items: [ … ] }', articled(kind));
}

/** Warns of a store that does not give what it was given, also in production: it loses each session. */
export function warnOfNoRecord(app: Application, value: unknown): void {
  warnOnce(app, 'get()', '[egg-tegg-session] the session store\'s get() returned %s, and not the object that set() was given: %s', kindOf(value),
    typeof value === 'string' ? 'parse it, like JSON.parse(text)' : 'return a plain object');
}

const isDropped = (name: string, value: unknown) => name[0] === '_' || typeof value === 'function';

/** Koa-session's own, which every session has. */
const OF_KOA = new Set([ '_requireSave', '_expire', '_maxAge', '_session' ]);

/** `field` is the path with `*` for each index: the objects in a list are told once. */
function warnOfLost(app: Application, path: string, field: string, value: unknown, depth: number): void {
  if (depth > MAX_DEPTH) return;
  if (typeof value === 'number' && !Number.isFinite(value)) return warn(app, path, field, String(value), 'null');
  if (typeof value === 'function') return warn(app, path, field, 'a function', isIndex(path) ? 'null' : 'gone');
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value) && !isPlain(value)) {
    const text = JSON.stringify(value) as string | undefined;
    return warn(app, path, field, articled(value.constructor?.name || 'object'),
      text === undefined ? 'gone' : text === '{}' ? text : text[0] === '"' ? 'a string' : 'a plain value',
      types.isPromise(value) ? 'Await it, and keep what it resolves to' : undefined);
  }
  if (hasToJson(value)) return;
  const isList = Array.isArray(value);
  for (const [ name, inside ] of Object.entries(value)) warnOfLost(app, `${path}.${name}`, `${field}.${isList ? '*' : name}`, inside, depth + 1);
}

const isIndex = (path: string) => /\.\d+$/.test(path);

const articled = (name: string) => `${/^[aeio]/i.test(name) ? 'an' : 'a'} ${name}`;

function warn(app: Application, path: string, field: string, what: string, then: string,
  way = 'Keep a plain value, as date.getTime() or Object.fromEntries(map)'): void {
  warnOnce(app, field, '[egg-tegg-session] session.%s is %s, and will be %s when it is read again, as sessions are kept as JSON. %s', printable(path), what, then, way);
}
