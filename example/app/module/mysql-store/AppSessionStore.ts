import net from 'node:net';
import { SingletonProto } from '@eggjs/tegg';
import { MysqlSessionStore } from 'egg-tegg-session';
import { createPool } from 'mysql2/promise';

@SingletonProto()
export class AppSessionStore extends MysqlSessionStore {
  protected override readonly createTable = process.env.NODE_ENV !== 'production';

  // docs/stores.md of egg-tegg-session says why these settings
  protected readonly mysql = createPool({
    uri: process.env.DATABASE_URL || 'mysql://root@127.0.0.1:3306/shop',
    connectionLimit: 10,
    connectTimeout: 5000,
    stream({ config: { host, port } }: { config: { host: string; port: number } }) {
      const socket = net.connect({ host, port, noDelay: true, keepAlive: true });
      return socket.setTimeout(5000, () => socket.destroy(new Error('timed out')));
    },
  });

  override async close() {
    await this.mysql.end();
  }
}
