import { randomBytes } from 'node:crypto';
import { Visitor } from './Visitor';

/** How often somebody tries to forge a cookie; with egg-session, about every seventh succeeds. */
const ATTEMPTS = 60;

/** Two tabs of one browser save at the same time, each something of its own. Resolves to how many of the two are kept. */
export async function twoTabs(port: number): Promise<number> {
  const visitor = new Visitor(port);
  await visitor.signIn('Ada');
  const tabs = [ await visitor.startUpload('tabOne'), await visitor.startUpload('tabTwo') ];
  for (const tab of tabs) await tab.finish();
  const { tabOne, tabTwo } = await visitor.look();
  return Number(tabOne ?? 0) + Number(tabTwo ?? 0);
}

/** Somebody signs out while a slow request of theirs is running. Resolves to whether they are signed in after it. */
export async function signOut(port: number): Promise<boolean> {
  const visitor = new Visitor(port);
  await visitor.signIn('Ada');
  const slow = await visitor.startUpload('tabOne');
  await visitor.signOut();
  await slow.finish();
  return (await visitor.look()).nickname === 'Ada';
}

/**
 * A guest, who knows no key, changes the cookie to become an administrator. Resolves to how many cookies were tried, and
 * whether the last one did it.
 */
export async function forge(port: number, cookie: string, attempts = ATTEMPTS): Promise<{ tried: number; accepted: boolean }> {
  for (let tried = 1; tried <= attempts; tried++) {
    const visitor = new Visitor(port);
    await visitor.signIn(newName());
    visitor.cookies.set(cookie, forged(visitor.cookies.get(cookie)!));
    if ((await visitor.look()).admin === 1) return { tried, accepted: true };
  }
  return { tried: attempts, accepted: false };
}

// egg-session encrypts the session's JSON, in Base64, by AES in CBC mode, and authenticates nothing. Changing a block of the
// cookie changes the next one of the text in the same bits, and garbles its own: here that is in the name, where nobody looks.
const BLOCK = 16;
/** A name after which `","admin":0,` are the twelve characters of a block. */
const newName = () => randomBytes(24).toString('hex').slice(0, 5 * 12 - '{"nickname":"'.length);
const [ guest, admin ] = [ '","admin":0,', '","admin":1,' ].map(text => Buffer.from(btoa(text)));

function forged(cookie: string): string {
  const bytes = Buffer.from(cookie, 'base64url');
  // eslint-disable-next-line no-bitwise
  for (let i = 0; i < BLOCK; i++) bytes[(4 * BLOCK + i) % bytes.length] ^= guest[i] ^ admin[i];
  return bytes.toString('base64url');
}
