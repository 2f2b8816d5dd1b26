import { EventEmitter } from 'node:events';
import { coded } from './errors';
import { printable } from './printable';

/** The deepest nesting of a field: functions that copy data can't follow it much further. */
export const MAX_DEPTH = 500;

/** The most fields of a session: stores look at each of them when they change one. */
const MAX_FIELDS = 10_000;

/** @throws TypeError when a session has more fields than stores can work with */
export function assertFieldCount(count: number): void {
  if (count <= MAX_FIELDS) return;
  throw coded('ERR_SESSION_DATA', new TypeError(`[egg-tegg-session] the session would have ${count} fields, more than ${MAX_FIELDS}: keep related ` +
    'data in one field, as an object or a list, and data that a client sends elsewhere'));
}

/** Whether a value is an object as `{}` makes it, also in another realm. Contexts of Koa are none: they inherit. */
export function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** What JSON has of an object is what its `toJSON` returns. */
export const hasToJson = (value: object) => typeof (value as { toJSON?: unknown }).toJSON === 'function';

/** Why a value can't be stored, and where in it the reason is. */
interface Fault {
  path: string[];
  reason: string;
}

/**
 * Refuses what JSON could hold, and a session must not.
 *
 * @param data the data of a session
 * @param names of the fields to look at
 * @throws TypeError that names the field, when it has a live object in it, or is nested too deep
 */
export function assertStorable(data: object, names: Iterable<string>): void {
  for (const name of names) {
    const fault = faultIn((data as Record<string, unknown>)[name], 1);
    if (fault) throw cantBeStored([ name, ...fault.path ].join('.'), fault.reason);
  }
}

/** Why JSON could not hold the value of a field; `reason` is what it said. */
export function refused(name: string, value: unknown, reason: string): TypeError {
  const live = typeof value === 'object' && value !== null ? liveFault(value) : undefined;
  if (live) return cantBeStored(name, live.reason);
  const bigInt = /BigInt/.test(reason) ? pathOfBigInt(value, 1) : undefined;
  if (bigInt) return cantBeStored([ name, ...bigInt ].join('.'), 'it is a BigInt, which JSON can\'t hold. Keep String(value), and read BigInt(…) of that');
  return cantBeStored(name, /call stack/.test(reason) ? TOO_DEEP : `${reason}. A session holds what JSON can`);
}

/** Where in a value the first BigInt is, in the order of JSON; undefined for one that a `toJSON` gives. */
function pathOfBigInt(value: unknown, depth: number): string[] | undefined {
  if (typeof value === 'bigint') return [];
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH || hasToJson(value)) return undefined;
  for (const [ name, inside ] of Object.entries(value)) {
    const path = pathOfBigInt(inside, depth + 1);
    if (path) return [ name, ...path ];
  }
  return undefined;
}

const cantBeStored = (path: string, reason: string) => coded('ERR_SESSION_DATA', new TypeError(`[egg-tegg-session] session.${printable(path)} can't be stored: ${reason}`));

const TOO_DEEP = `it is nested more than ${MAX_DEPTH} levels deep, or leads back to itself. Keep less, or the text of JSON.stringify()`;

function faultIn(value: unknown, depth: number): Fault | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth > MAX_DEPTH) return { path: [], reason: TOO_DEEP };
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const fault = faultIn(value[i], depth + 1);
      if (fault) return within(String(i), fault);
    }
    return undefined;
  }
  const live = isPlain(value) ? undefined : liveFault(value);
  if (live || hasToJson(value)) return live;
  for (const name of Object.keys(value)) {
    const fault = faultIn((value as Record<string, unknown>)[name], depth + 1);
    if (fault) return within(name, fault);
  }
  return undefined;
}

const within = (name: string, { path, reason }: Fault): Fault => ({ path: reason === TOO_DEEP ? path : [ name, ...path ], reason });

/** What belongs to the request, the application or the system, and would take their secrets along. */
function liveFault(value: object): Fault | undefined {
  const what = kindOf(value);
  return what === undefined ? undefined : { path: [], reason: `it is ${what}, which would bring headers, keys or connections along. ` +
    'Keep the values that are needed, as ctx.ip' };
}

function kindOf(value: object): string | undefined {
  const hasOwn = (...names: string[]) => names.every(name => Object.hasOwn(value, name));
  if (hasOwn('app', 'req', 'res')) return hasOwn('request', 'response') ? 'a context of Koa' : 'a request or a response of Koa';
  // streams, sockets, servers, HTTP messages, clients; one with `toJSON` of its own says itself what to keep
  const isLive = value instanceof EventEmitter ? !hasToJson(value) || Reflect.get(value, 'middleware') !== undefined
    : value instanceof EventTarget || WEB_STREAMS.some(Stream => value instanceof Stream);
  return isLive ? `an object of the class ${value.constructor?.name}` : undefined;
}

const WEB_STREAMS = [ ReadableStream, WritableStream, TransformStream ];
