import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { LifecycleDestroy, SingletonProto } from '@eggjs/tegg';

const START = path.join(__dirname, '../../../egg-session/start.js');

/** The ports of the application with egg-session: with sessions in the cookie, and in a store. */
interface Ports { cookie: number; store: number }

/** The application in egg-session/: a process that is started when it is needed. */
@SingletonProto()
export class EggSession {
  private running?: Promise<{ child: ChildProcess; ports: Ports }>;

  /** Whether it was copied along with this application. */
  get isHere(): boolean {
    return fs.existsSync(START);
  }

  /** Starts it for who may need it soon. */
  prepare(): void {
    if (this.isHere) this.ports().catch(() => undefined); // who needs it is told
  }

  async ports(): Promise<Ports> {
    const starting = this.running ??= this.start();
    try {
      return (await starting).ports;
    } catch (err) {
      if (this.running === starting) this.running = undefined;
      throw err;
    }
  }

  @LifecycleDestroy()
  async stop() {
    (await this.running?.catch(() => undefined))?.child.kill();
  }

  private async start() {
    const { PATH, HOME, TMPDIR } = process.env;
    const child = fork(START, {
      execArgv: [], // it is JavaScript
      env: { PATH, HOME, TMPDIR, EGG_SERVER_ENV: 'prod', NODE_ENV: 'production' },
      stdio: [ 'ignore', 'ignore', 'inherit', 'ipc' ],
    });
    const ended = once(child, 'exit').then(([ code ]) => {
      this.running = undefined;
      throw new Error(`the application with egg-session has ended with ${code}`);
    });
    ended.catch(() => undefined);
    const [ ports ] = await Promise.race([ once(child, 'message'), ended ]) as [ Ports ];
    child.unref();
    child.channel?.unref();
    return { child, ports };
  }
}
