import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { LifecycleDestroy, SingletonProto } from '@eggjs/tegg';

const START = path.join(__dirname, '../../../egg-session/start.js');

/** The application in egg-session/, with sessions in the cookie or in a store: processes that are started when they are needed. */
@SingletonProto()
export class EggSession {
  private readonly running = new Map<string, Promise<{ child: ChildProcess; port: number }>>();

  /** Whether it was copied along with this application. */
  get isHere(): boolean {
    return fs.existsSync(START);
  }

  async port(where: 'cookie' | 'store'): Promise<number> {
    const starting = this.running.get(where) ?? this.start(where);
    this.running.set(where, starting);
    try {
      return (await starting).port;
    } catch (err) {
      this.running.delete(where);
      throw err;
    }
  }

  @LifecycleDestroy()
  async stop() {
    for (const starting of this.running.values()) (await starting).child.kill();
  }

  private async start(where: string) {
    const { PATH, HOME, TMPDIR } = process.env;
    const child = fork(START, [ where ], {
      execArgv: [], // it is JavaScript
      env: { PATH, HOME, TMPDIR, EGG_SERVER_ENV: 'prod', NODE_ENV: 'production' },
      stdio: [ 'ignore', 'ignore', 'inherit', 'ipc' ],
    });
    const ended = once(child, 'exit').then(([ code ]) => {
      this.running.delete(where);
      throw new Error(`the application with egg-session has ended with ${code}`);
    });
    ended.catch(() => undefined);
    const [ port ] = await Promise.race([ once(child, 'message'), ended ]) as [ number ];
    child.unref();
    child.channel?.unref();
    return { child, port };
  }
}
