// What is measured: which sessions, kept where, for which requests, and what is asked of this plugin there.
import type { Settings } from './app/settings';
import { resolveConfig } from '../module/options/SessionConfig';

export const KEPT = [ 'cookie', 'memory', 'Redis' ] as const;
export const ACTIONS = [ 'unused', 'read', 'renew', 'write' ] as const;
export type Kept = typeof KEPT[number];
export type Action = typeof ACTIONS[number];

/** Sizes of a session, in bytes of JSON. One of 3,000 does not fit into a cookie of egg-session's, which grows it by 16/9. */
export const sizesIn = (kept: Settings['kept']): number[] => [ 200, kept === 'cookie' ? 2000 : 3000 ];

export interface Subject {
  name: string;
  framework: Settings['framework'];
  sessions: Settings['sessions'];
  kept: readonly Kept[];
  actions: readonly Action[];
}

const all = { kept: KEPT, actions: ACTIONS };

/** In each framework, the bare one comes first: the others are measured against it. */
export const SUBJECTS: Subject[] = [
  { name: 'Egg, no session', framework: 'Egg', sessions: 'none', ...all },
  { name: 'egg-session', framework: 'Egg', sessions: 'egg-session', ...all },
  { name: 'egg-tegg-session', framework: 'Egg', sessions: 'always', ...all },
  { name: 'load: \'injected\'', framework: 'Egg', sessions: 'injected', ...all },
  { name: 'three-method store', framework: 'Egg', sessions: 'three-method', kept: [ 'memory', 'Redis' ], actions: [ 'read', 'write' ] },
  { name: 'Express, no session', framework: 'Express', sessions: 'none', kept: [ 'memory', 'Redis' ], actions: ACTIONS },
  { name: 'express-session', framework: 'Express', sessions: 'peer', kept: [ 'memory', 'Redis' ], actions: ACTIONS },
  { name: 'Fastify, no session', framework: 'Fastify', sessions: 'none', kept: [ 'Redis' ], actions: ACTIONS },
  { name: '@fastify/session', framework: 'Fastify', sessions: 'peer', kept: [ 'Redis' ], actions: ACTIONS },
  { name: 'node:http, no session', framework: 'Node.js', sessions: 'none', kept: [ 'cookie' ], actions: ACTIONS },
  { name: 'iron-session', framework: 'Node.js', sessions: 'peer', kept: [ 'cookie' ], actions: ACTIONS },
];

/** The subjects that this version of the plugin can run. */
export function subjects(framework?: Settings['framework']): Subject[] {
  return SUBJECTS.filter(subject => (framework ?? subject.framework) === subject.framework && (subject.sessions !== 'injected' || canInject));
}

/** Whether the plugin knows `load: 'injected'`. */
const canInject = (() => {
  try {
    resolveConfig({ load: 'injected' } as object);
    return true;
  } catch {
    process.stderr.write('skipped: load: \'injected\', which this version of the plugin does not know\n');
    return false;
  }
})();

/**
 * The most that a request may cost beyond no session, as a ratio to egg-session; an unused session's, to what
 * egg-session takes for a read. Undefined where nothing is asked.
 */
export function target({ sessions }: Subject, kept: Kept, action: Action): number | undefined {
  if (sessions === 'three-method') return action === 'write' ? 1.3 : undefined;
  if (sessions !== 'always' && sessions !== 'injected') return undefined;
  if (action === 'unused') return kept === 'cookie' || sessions === 'injected' ? 0.1 : undefined;
  if (action === 'read') return 0.8;
  return action === 'write' && kept !== 'memory' ? 1 : undefined;
}

/** The record of a session has it, with `principal`. */
export const USER_AGENT = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';

/** A signed-in user's data of so many bytes; the larger ones have a cart. */
export function dataOf(bytes: number): { userId: number; n: number } {
  const data = {
    userId: 1234567, n: 0, name: 'Ada Lovelace', roles: [ 'editor', 'reviewer' ], csrfToken: 'q3Xh0cZ1n8sVbT5yLw7KdR2u',
    locale: 'en-GB', theme: 'dark', ...(bytes > 500 ? { cart: [] as object[] } : {}), note: '',
  };
  const missing = () => bytes - JSON.stringify(data).length;
  for (let i = 0; data.cart && missing() > 100; i++) data.cart.push({ sku: `article-${1000 + i}`, pieces: 1 + i % 9, price: 9.95 });
  data.note = 'x'.repeat(missing());
  return data;
}
