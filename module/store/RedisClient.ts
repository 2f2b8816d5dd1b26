/** The part of an ioredis client that the store uses: a single client, one behind Sentinel, or a Cluster. */
export interface IoredisClient {
  get(key: string): Promise<string | null>;
  set(key: string, value: string, PX: 'PX', ms: number): Promise<unknown>;
  del(key: string): Promise<number>;
  evalsha(sha: string, keys: number, ...args: string[]): Promise<unknown>;
  eval(script: string, keys: number, ...args: string[]): Promise<unknown>;
  zscan(key: string, cursor: string, COUNT: 'COUNT', count: number): Promise<[cursor: string, membersAndScores: string[]]>;
  scan(cursor: string, MATCH: 'MATCH', pattern: string, COUNT: 'COUNT', count: number): Promise<[cursor: string, keys: string[]]>;
  /** Asked at boot, if there is one. */
  info?(section: 'memory'): Promise<unknown>;
  /** Only a Cluster has these. */
  nodes?(role: 'master'): Array<Pick<IoredisClient, 'scan' | 'info'>>;
  readonly options?: { keyPrefix?: string; enableAutoPipelining?: boolean };
}

/** The part of a client of node-redis (the package `redis`, 5 or later) that the store uses: a single client, one behind Sentinel, or a Cluster. */
export interface NodeRedisClient {
  get(key: string): Promise<unknown>;
  set(key: string, value: string, options: { expiration: { type: 'PX'; value: number } }): Promise<unknown>;
  del(key: string): Promise<unknown>;
  evalSha(sha: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  zScan(key: string, cursor: string, options: { COUNT: number }): Promise<unknown>;
  /** `keyPrefix`, which version 6 has. */
  readonly _keyPrefix?: string | Buffer;
}

/** A client that `RedisSessionStore` accepts; it detects which one it has. */
export type RedisClient = IoredisClient | NodeRedisClient;
