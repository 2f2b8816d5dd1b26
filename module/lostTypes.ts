import type { Application } from 'egg';
import { isRecord } from './record';

const warned = new WeakSet<Application>();

/**
 * Says once, but in production, which field of a session will be something else when it is read again.
 *
 * @param app the application
 * @param data the session's data, which JSON can hold
 */
export function warnOfLostType(app: Application, data: object): void {
  if (app.config.env === 'prod' || warned.has(app)) return;
  const [ path, value ] = lost(data) ?? [];
  if (!value) return;
  warned.add(app);
  const text = JSON.stringify(value) as string | undefined;
  app.coreLogger.warn('[egg-tegg-session] session.%s is a %s, and will be %s when it is read again, as sessions are kept as JSON. ' +
    'Keep a plain value, as date.getTime() or Object.fromEntries(map)', path, value.constructor.name,
  text === undefined ? 'gone' : text === '{}' ? text : text[0] === '"' ? 'a string' : 'a plain value');
}

/** The first object in the data that is neither plain nor an array, with its path. */
function lost(data: object): [ path: string, value: object ] | undefined {
  for (const [ name, value ] of Object.entries(data)) {
    if (typeof value !== 'object' || value === null || name[0] === '_') continue;
    if (!Array.isArray(value) && !isRecord(value)) return [ name, value ];
    const inside = 'toJSON' in value ? undefined : lost(value);
    if (inside) return [ `${name}.${inside[0]}`, inside[1] ];
  }
  return undefined;
}
