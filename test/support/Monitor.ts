import { once } from 'node:events';
import type Redis from 'ioredis';

/** Tells what a server is sent. */
export class Monitor {
  private readonly commands: string[] = [];

  private constructor(private readonly redis: Redis, private readonly monitor: Redis) {
    monitor.on('monitor', (_: string, [ command ]: string[], source: string) => {
      if (source !== 'lua') this.commands.push(command.toLowerCase());
    });
  }

  static async of(redis: Redis): Promise<Monitor> {
    await redis.ping(); // no other connection may be about to begin: ioredis takes its INFO for an answer
    return new Monitor(redis, await redis.monitor());
  }

  /** The commands since the last call of this. */
  async take(): Promise<string[]> {
    await this.redis.echo('');
    while (this.commands.at(-1) !== 'echo') await once(this.monitor, 'monitor');
    return this.commands.splice(0).slice(0, -1);
  }

  stop(): void {
    this.monitor.disconnect();
  }
}
