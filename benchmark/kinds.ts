// The kinds of requests, by what they do with their session.
import type { Subject } from './cases';

export interface Kind {
  /** As the documents name it. */
  name: string;
  /** The same in Chinese. */
  zh: string;
  url: string;
  rolling?: boolean;
  /** The browsers come without a session; the URL ends with its size. */
  fresh?: boolean;
  /** It ends the session. */
  ends?: boolean;
  /** Only the routes in Egg have it, and only with a session. */
  eggOnly?: boolean;
  /** Only this plugin has it. */
  oursOnly?: boolean;
}

export const KINDS = {
  unused: { name: 'does not use the session', zh: '没有用到 session', url: '/unused' },
  read: { name: 'reads', zh: '读取', url: '/read' },
  renew: { name: 'reads, with `rolling`', zh: '`rolling` 时读取', url: '/read', rolling: true },
  write: { name: 'changes', zh: '修改', url: '/write' },
  firstWrite: { name: 'first write of a new session', zh: '新 session 的第一次写入', url: '/sign-in?bytes=', fresh: true },
  update: { name: '`update()`', zh: '`update()`', url: '/update', eggOnly: true, oursOnly: true },
  signIn: { name: 'sign-in: data, then `regenerate()`', zh: '登录：先写数据，再 `regenerate()`', url: '/write-and-regenerate', eggOnly: true },
  regenerateFirst: { name: '`regenerate()`, then data', zh: '先 `regenerate()`，再写数据', url: '/regenerate-and-write', eggOnly: true },
  signOut: { name: 'sign-out', zh: '退出登录', url: '/sign-out', eggOnly: true, ends: true },
} satisfies Record<string, Kind>;

/** Whether a server has the route. */
export const runs = ({ eggOnly, oursOnly }: Kind, { framework, sessions }: Pick<Subject, 'framework' | 'sessions'>): boolean =>
  (framework === 'Egg' || !eggOnly) && (sessions !== 'egg-session' || !oursOnly);

export const urlOf = ({ url, fresh }: Kind, bytes: number): string => (fresh ? url + bytes : url);
