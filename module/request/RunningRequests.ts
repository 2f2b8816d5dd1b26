import { Socket } from 'node:net';
import type { Context } from 'egg';
import { logUntold } from '../store/SessionStoreError';

/** The time, in ms, that a closing application waits for its requests: egg-cluster ends the process after 5 s. */
const PATIENCE = 4000;

/** The part of a request's session that is used here. */
interface Running {
  readonly commitsItself: boolean;
  commit(): Promise<void>;
}

/** Knows the requests that have not saved their session yet. */
export class RunningRequests {
  private readonly requests = new Map<Context, Running>();
  private whenFewer?: () => void;

  begin(ctx: Context, request: Running): void {
    this.requests.set(ctx, request);
  }

  end(ctx: Context): void {
    this.requests.delete(ctx);
    this.whenFewer?.();
  }

  /**
   * Waits until there is none, for 4 s at most. Those that last as long as their connection are not waited for: what they have changed so
   * far is saved.
   */
  async settled(): Promise<void> {
    if (this.requests.size === 0) return;
    const saving = [ ...this.requests ].filter(([ ctx ]) => isLasting(ctx)).map(async ([ ctx, request ]) => {
      if (request.commitsItself) await request.commit().catch(err => logUntold(ctx, err));
    });
    let timer!: NodeJS.Timeout;
    const late = new Promise<void>(resolve => {
      timer = setTimeout(resolve, PATIENCE);
    });
    const settled = new Promise<void>(resolve => {
      this.whenFewer = () => {
        if ([ ...this.requests.keys() ].every(isLasting)) resolve();
      };
      this.whenFewer();
    });
    await Promise.race([ Promise.all([ settled, ...saving ]), late ]);
    clearTimeout(timer);
  }
}

const STREAM = /\b(text\/event-stream|multipart\/x-mixed-replace)\b/i;

/** Whether the middleware of a request goes on as long as its connection. */
function isLasting(ctx: Context): boolean {
  const { req, res } = ctx;
  // a message that has come through one, as egg-socket.io has them, ends by itself
  if ('packet' in ctx) return false;
  if ((req as { upgrade?: boolean }).upgrade) return true;
  // a response that can't be sent: egg-socket.io makes one for each connection, and its socket is no TCP connection
  if (!res.socket && !(req.socket instanceof Socket)) return true;
  return res.headersSent && STREAM.test(`${res.getHeader('content-type')} ${req.headers.accept} ${(res as { _header?: string })._header}`);
}
