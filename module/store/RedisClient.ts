/** The part of an ioredis client that is used: of a single one, one behind Sentinel, or a Cluster. */
export interface RedisClient {
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
  nodes?(role: 'master'): Array<Pick<RedisClient, 'scan' | 'info'>>;
  readonly options?: { keyPrefix?: string };
}
