import { createRequire } from 'node:module';

/** What the benchmark chooses for a server, by the environment. */
export interface Settings {
  /** What the application has for its sessions; `'none'` is the bare framework. */
  sessions: 'none' | 'egg-session' | 'always' | 'injected' | 'device-bound' | 'three-method' | 'keyv' | 'peer';
  framework: 'Egg' | 'Express' | 'Fastify' | 'Node.js';
  kept: 'cookie' | 'memory' | 'Redis' | 'PostgreSQL' | 'MariaDB';
  /** Each request that uses its session renews it. */
  rolling: boolean;
  /** Whether it has the route for `update()`: each route costs the requests of all others. */
  update?: boolean;
  /** The port of Redis. */
  redis?: number;
  /** The URL of the database. */
  database?: string;
  /** The data of a session, by its size in bytes of JSON. */
  data: Record<string, { userId: number; n: number }>;
  /** For files that Egg writes. */
  dir: string;
}

export const settings: Settings = JSON.parse(process.env.BENCHMARK!);

/** Whether sessions are this plugin's. */
export const ours = [ 'always', 'injected', 'device-bound', 'three-method', 'keyv' ].includes(settings.sessions);

/** Loads what only some servers need, so that the others neither boot nor carry it. */
export const load = createRequire(__filename);
