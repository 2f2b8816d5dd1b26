/** What the benchmark chooses for a server, by the environment. */
export interface Settings {
  plugin: 'egg-session' | 'egg-tegg-session';
  /** The port of the Redis that keeps the sessions; without it, the cookie does. */
  redis?: number;
  /** For files that Egg writes. */
  dir: string;
}

export const settings: Settings = JSON.parse(process.env.BENCHMARK!);
