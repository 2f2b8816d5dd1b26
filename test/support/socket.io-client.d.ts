declare module 'socket.io-client' {
  import type { EventEmitter } from 'node:events';

  /** What the tests use of a socket. */
  interface Socket extends Pick<EventEmitter, 'on' | 'once' | 'emit'> {
    close(): void;
  }

  export default function connect(url: string, options?: Record<string, unknown>): Socket;
}
