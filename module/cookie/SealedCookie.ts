import { LRUCache } from 'lru-cache';
import type { Sealer, Unsealed } from './Sealer';

/**
 * The most characters of values and their contents that are remembered: a thousand sessions in cookies, or 5,000 ids. More would push all
 * else out of the processor's cache.
 */
const ROOM = 1024 * 1024;

/** About what an entry takes besides its characters. */
const ENTRY = 100;

/** The number of values of a request that may still be tried. */
export interface Tries {
  left: number;
}

/**
 * The sealed values of one cookie. Browsers send the same one again and again, so those that have opened are remembered,
 * the latest of them. What does not open is not, so that nobody can fill the room with rubbish. It is the exact text
 * that counts, and the keys are those of the process: opening it again would give the same. Whether what it holds has expired,
 * or was revoked, is asked after that, on each request.
 */
export class SealedCookie {
  /** By the end of the value, where its tag is: to look up the whole of each would cost more than all else, of many that nobody has sealed. */
  private readonly opened = new LRUCache<string, { readonly value: string; readonly unsealed: Unsealed }>({
    maxSize: ROOM,
    sizeCalculation: ({ value, unsealed }) => value.length + unsealed.text.length + ENTRY,
  });

  constructor(private readonly sealer: Sealer, private readonly name: string) {}

  seal(text: string): string {
    const value = this.sealer.seal(this.name, text);
    this.opened.set(endOf(value), { value, unsealed: { text, stale: false } });
    return value;
  }

  /**
   * What a value holds; undefined when none of the keys has sealed it for this cookie.
   *
   * @param value the cookie's value
   * @param tries what is taken from it; a value that is remembered costs nothing, nor does one that can be told at a glance
   */
  open(value: string, tries?: Tries): Unsealed | undefined {
    if (tries && !this.sealer.mayOpen(value)) return undefined;
    const known = this.opened.get(endOf(value));
    if (known?.value === value) return known.unsealed;
    if (tries && tries.left-- <= 0) return undefined;
    const unsealed = this.sealer.open(this.name, value);
    if (!unsealed) return undefined;
    const copy = Buffer.from(value, 'latin1').toString('latin1'); // a part of a string keeps the whole in memory: all cookies of the request
    this.opened.set(endOf(copy), { value: copy, unsealed });
    return unsealed;
  }
}

/** About as many characters as a tag has. */
const endOf = (value: string) => value.slice(-22);
