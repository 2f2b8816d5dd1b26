import type { IoredisClient, NodeRedisClient, RedisClient } from './RedisClient';
import { textIn } from './redisLayout';

/** What one server is asked besides. A Cluster has no such methods of its own, but its nodes. */
interface Server {
  scan(cursor: string, options: { MATCH: string; COUNT: number }): Promise<unknown>;
  info(section: 'memory'): Promise<unknown>;
}

interface Cluster extends NodeRedisClient {
  readonly masters: unknown[];
  nodeClient(node: unknown): Promise<Server>;
}

const isCluster = (client: object): client is Cluster => 'masters' in client && 'nodeClient' in client;

/** The commands of a client of node-redis, as ioredis has them. */
class NodeRedisCommands implements IoredisClient {
  readonly nodes?: IoredisClient['nodes'];
  readonly options: IoredisClient['options'];

  constructor(private readonly client: NodeRedisClient) {
    this.options = { keyPrefix: textIn(client._keyPrefix) ?? '' };
    if (isCluster(client)) this.nodes = () => client.masters.map(node => serverOf(() => client.nodeClient(node)));
  }

  async get(key: string) {
    return textIn(await this.client.get(key));
  }

  set(key: string, value: string, _: 'PX', ms: number) {
    return this.client.set(key, value, { expiration: { type: 'PX', value: ms } });
  }

  async del(key: string) {
    return Number(await this.client.del(key));
  }

  evalsha(sha: string, _: number, key: string, ...args: string[]) {
    return this.client.evalSha(sha, { keys: [ key ], arguments: args });
  }

  eval(script: string, _: number, key: string, ...args: string[]) {
    return this.client.eval(script, { keys: [ key ], arguments: args });
  }

  async zscan(key: string, cursor: string, _: 'COUNT', COUNT: number): Promise<[string, string[]]> {
    const found = await this.client.zScan(key, cursor, { COUNT }) as { cursor: unknown; members: Array<{ value: unknown; score: unknown }> };
    return [ String(textIn(found.cursor)), found.members.flatMap(({ value, score }) => [ String(textIn(value)), String(score) ]) ];
  }

  scan(...args: Parameters<IoredisClient['scan']>) {
    return serverOf(async () => this.client as unknown as Server).scan(...args);
  }

  async info(section: 'memory') {
    return await (this.client as unknown as Server).info(section);
  }
}

function serverOf(client: () => Promise<Server>): Pick<Required<IoredisClient>, 'scan' | 'info'> {
  return {
    async scan(cursor, _, MATCH, _COUNT, COUNT) {
      const found = await (await client()).scan(cursor, { MATCH, COUNT }) as { cursor: unknown; keys: unknown[] };
      return [ String(textIn(found.cursor)), found.keys.map(key => String(textIn(key))) ];
    },
    info: async section => await (await client()).info(section),
  };
}

/** Only version 5 has `destroy`; to one before it, the arguments here would mean something else. */
const isNodeRedis = (client: unknown): client is NodeRedisClient =>
  typeof client === 'object' && client !== null && 'evalSha' in client && 'destroy' in client;

/** The commands of a client, whichever it is. What is no client at all stays what it is. */
export const commandsOf = (client: RedisClient): IoredisClient => (isNodeRedis(client) ? new NodeRedisCommands(client) : client as IoredisClient);
