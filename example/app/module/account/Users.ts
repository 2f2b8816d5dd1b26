import { scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { AccessLevel, SingletonProto } from '@eggjs/tegg';

const hashWith = promisify<string, string, number, Buffer>(scrypt);

interface User { salt: string; hash: string; isAdmin?: boolean }

// alice: wonderland, bob: builder
const USERS = new Map<string, User>([
  [ 'alice', {
    salt: '49f10b94d87885dfd35f568f988d2766',
    hash: 'edd0ba0b3ad4e43df138208aaae57c0095ba972fcdd4a1b2b2b8d42751296a27',
    isAdmin: true,
  }],
  [ 'bob', {
    salt: '190d258ba3c1a5a4987e75c142c76c21',
    hash: '9e0a6d6739a44461d496e0896320032243451f64bd4a8c3438a0e6331f70176d',
  }],
]);

/** Stands in for a user who does not exist, so that the answer takes as long as for one who does. */
const NOBODY: User = { salt: '', hash: '00'.repeat(32) };

/** Who may sign in. In your application: a table of your database. */
@SingletonProto({ accessLevel: AccessLevel.PUBLIC })
export class Users {
  readonly names = [ ...USERS.keys() ];

  isAdmin(name?: string): boolean {
    return USERS.get(name ?? '')?.isAdmin ?? false;
  }

  async hasPassword(name: string, password: string): Promise<boolean> {
    const { salt, hash } = USERS.get(name) ?? NOBODY;
    return timingSafeEqual(await hashWith(password, salt, 32), Buffer.from(hash, 'hex'));
  }
}
