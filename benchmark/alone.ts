// A request without HTTP: an application's callback, given a request and a response of Node.js that have no socket.
import http from 'node:http';
import net from 'node:net';
import type { MockApplication } from 'egg-mock';

/** The headers of a response, and how it was answered. */
export interface Answer {
  status: number;
  headers: http.OutgoingHttpHeaders;
}

/** Sends requests to an application in this process, one after the other. */
export class Alone {
  private readonly handle: http.RequestListener;

  constructor(app: MockApplication) {
    this.handle = app.callback() as http.RequestListener;
  }

  request(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    const req = new http.IncomingMessage(new net.Socket());
    Object.assign(req, { method: 'GET', url: path, httpVersion: '1.1', httpVersionMajor: 1, httpVersionMinor: 1, headers: { host: '127.0.0.1', ...headers } });
    const res = new http.ServerResponse(req);
    return new Promise(resolve => {
      res.end = (() => {
        res.writeHead(res.statusCode);
        resolve({ status: res.statusCode, headers: res.getHeaders() });
        res.emit('finish');
        return res;
      }) as typeof res.end;
      this.handle(req, res);
    });
  }

  /** The CPU time of a request of each kind, in µs: the least of `rounds`, each of `times`, the kinds in turns. */
  async measure(kinds: Record<string, Record<string, string>>, path: string, times: number, rounds: number): Promise<Record<string, number>> {
    const least: Record<string, number> = {};
    for (let round = 0; round <= rounds; round++) {
      for (const [ kind, headers ] of Object.entries(kinds)) {
        const start = process.cpuUsage();
        for (let i = 0; i < times; i++) await this.request(path, headers);
        const { user, system } = process.cpuUsage(start);
        if (round > 0) least[kind] = Math.min(least[kind] ?? Infinity, (user + system) / times); // the first warms up
      }
    }
    return least;
  }
}
