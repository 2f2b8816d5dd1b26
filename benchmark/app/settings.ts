/** What the benchmark chooses for a server, by the environment. */
export interface Settings {
  plugin: 'none' | 'egg-session' | 'egg-tegg-session';
  /** Where sessions are kept. */
  kept: 'cookie' | 'memory' | 'Redis';
  /** The port of Redis. */
  redis?: number;
  /** For files that Egg writes. */
  dir: string;
}

export const settings: Settings = JSON.parse(process.env.BENCHMARK!);
