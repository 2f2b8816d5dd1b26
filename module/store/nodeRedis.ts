import type { IoredisClient, NodeRedisClient, RedisClient } from './RedisClient';
import { textIn } from './redisLayout';

/** The commands without a key. The client of a Cluster has none of them: each of its nodes has its own. */
interface Server {
  scan(cursor: string, options: { MATCH: string; COUNT: number }): Promise<unknown>;
  info(section: 'memory'): Promise<unknown>;
}

interface Cluster extends NodeRedisClient {
  readonly masters: unknown[];
  nodeClient(node: unknown): Promise<Server>;
}

const isCluster = (client: object): client is Cluster => 'masters' in client && 'nodeClient' in client;

/** A client of node-redis behind the methods of ioredis, so that the store has only one kind of client. */
class NodeRedisCommands implements IoredisClient {
  readonly nodes?: IoredisClient['nodes'];
  readonly options: IoredisClient['options'];
  readonly scan: IoredisClient['scan'];
  readonly info: IoredisClient['info'];

  constructor(private readonly client: NodeRedisClient) {
    ({ scan: this.scan, info: this.info } = serverOf(async () => client as unknown as Server));
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

/** Versions before 5, which take other arguments, have no `destroy`. */
const isNodeRedis = (client: unknown): client is NodeRedisClient =>
  typeof client === 'object' && client !== null && 'evalSha' in client && 'destroy' in client;

/** Any client behind the methods of ioredis. A value that is no client is returned as it is: the check at boot reports it. */
export const commandsOf = (client: RedisClient): IoredisClient => (isNodeRedis(client) ? new NodeRedisCommands(client) : client as IoredisClient);
