import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { Nonces } from '../../module/cookie/Nonces';
import { Sealer } from '../../module/cookie/Sealer';
import { Xaes256Gcm } from '../../module/cookie/Xaes256Gcm';
import { derive, openByHand, sealByHand } from '../support/by-hand';
import { KEYS, NAME } from '../support/web';

describe('XAES-256-GCM', () => {
  const NONCE = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWX');
  const TEXT = Buffer.from('XAES-256-GCM');
  // of https://c2sp.org/XAES-256-GCM: the most significant bit of L is 0 in the first, and 1 in the second
  const VECTORS = [
    { key: Buffer.alloc(32, 1), aad: '', sealed: 'ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271' },
    { key: Buffer.alloc(32, 3), aad: 'c2sp.org/XAES-256-GCM', sealed: '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d' },
  ];

  for (const { key, aad, sealed } of VECTORS) {
    it(`makes the specification's vector of the key ${key[0]}${key[1]}… and the additional data '${aad}'`, () => {
      const cipher = new Xaes256Gcm(key);
      assert.equal(cipher.seal(NONCE, TEXT, Buffer.from(aad)).toString('hex'), sealed);
      assert.deepEqual(cipher.open(NONCE, Buffer.from(sealed, 'hex'), Buffer.from(aad)), TEXT);
    });
  }

  it('makes the hash that the specification has for 10,000 random messages', () => {
    const random = createHash('shake128', { outputLength: 4_000_000 }).digest();
    let at = 0;
    const take = (bytes: number) => {
      at += bytes;
      return random.subarray(at - bytes, at);
    };
    const hash = createHash('shake128', { outputLength: 32 });
    for (let i = 0; i < 10_000; i++) {
      const cipher = new Xaes256Gcm(take(32));
      const [ nonce, plaintext, aad ] = [ take(24), take(take(1)[0]), take(take(1)[0]) ];
      const sealed = cipher.seal(nonce, plaintext, aad);
      assert.deepEqual(cipher.open(nonce, sealed, aad), plaintext);
      hash.update(sealed);
    }
    assert.ok(at < random.length);
    assert.equal(hash.digest('hex'), 'e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939');
  });

  it('opens nothing when one byte of the key, the nonce, the message or the additional data is another', () => {
    const aad = Buffer.from('aad');
    const given = [ Buffer.alloc(32, 1), NONCE, new Xaes256Gcm(Buffer.alloc(32, 1)).seal(NONCE, TEXT, aad), aad ];
    const open = ([ key, nonce, sealed, data ]: Buffer[]) => new Xaes256Gcm(key).open(nonce, sealed, data);
    assert.deepEqual(open(given), TEXT);
    for (const [ which, bytes ] of given.entries()) {
      for (let at = 0; at < bytes.length; at++) {
        const changed = Buffer.from(bytes);
        while (++changed[at] !== bytes[at]) assert.equal(open(given.with(which, changed)), undefined);
      }
    }
  });

  it('opens nothing that was cut short, and no part of a tag is enough', () => {
    const cipher = new Xaes256Gcm(Buffer.alloc(32, 1));
    const aad = Buffer.alloc(0);
    for (const plaintext of [ TEXT, Buffer.alloc(0) ]) {
      const sealed = cipher.seal(NONCE, plaintext, aad);
      assert.equal(sealed.length, plaintext.length + 16);
      assert.deepEqual(cipher.open(NONCE, sealed, aad), plaintext);
      for (let length = 0; length < sealed.length; length++) {
        assert.equal(cipher.open(NONCE, sealed.subarray(0, length), aad), undefined);
      }
    }
  });

  it('seals as another cipher of the same key does, whichever nonces begin alike', () => {
    const [{ key }] = VECTORS;
    const cipher = new Xaes256Gcm(key);
    const nonce = (first: number, last: number) => Buffer.concat([ Buffer.alloc(12, first), Buffer.alloc(12, last) ]);
    for (const [ first, last ] of [[ 1, 1 ], [ 1, 2 ], [ 2, 2 ], [ 2, 1 ], [ 1, 1 ]]) {
      assert.deepEqual(cipher.seal(nonce(first, last), TEXT, TEXT), new Xaes256Gcm(key).seal(nonce(first, last), TEXT, TEXT));
    }
  });

  it('keeps nothing of what it is given, and gives nothing that it keeps', () => {
    const [ one, two ] = VECTORS;
    const key = Buffer.from(one.key);
    const cipher = new Xaes256Gcm(key);
    const other = new Xaes256Gcm(two.key);
    key.fill(0);
    const results: Buffer[] = [];
    for (let i = 0; i < 3; i++) {
      const nonce = Buffer.from(NONCE);
      const text = Buffer.from(TEXT);
      results.push(cipher.seal(nonce, text, Buffer.from(one.aad)), other.seal(NONCE, TEXT, Buffer.from(two.aad)));
      assert.deepEqual([ nonce, text ], [ NONCE, TEXT ]);
      nonce.fill(i);
      text.fill(i);
      cipher.seal(nonce, text, Buffer.alloc(i)).fill(i);
    }
    assert.deepEqual(results.map(result => result.toString('hex')), Array(3).fill([ one.sealed, two.sealed ]).flat());
  });

  it('refuses a key or a nonce of another length', () => {
    const cipher = new Xaes256Gcm(Buffer.alloc(32));
    for (const length of [ 0, 12, 23, 25, 32 ]) {
      const error = { name: 'RangeError', message: `a nonce has 24 bytes, not ${length}` };
      assert.throws(() => cipher.seal(Buffer.alloc(length), TEXT, TEXT), error);
      assert.throws(() => cipher.open(Buffer.alloc(length), Buffer.alloc(40), TEXT), error);
    }
    for (const length of [ 0, 16, 24, 31, 33 ]) assert.throws(() => new Xaes256Gcm(Buffer.alloc(length)), { name: 'RangeError' });
  });
});

describe('nonces', () => {
  const nonceOf = (value: string) => Buffer.from(value.slice(1), 'base64url').subarray(3, 27);
  const beginning = (nonce: Buffer) => nonce.subarray(0, 12).toString('hex');

  it('are never the same, and begin otherwise after 1,024 of them', () => {
    const nonces = new Nonces();
    const all = Array.from({ length: 10_240 }, () => Buffer.from(nonces.next()));
    assert.equal(new Set(all.map(nonce => nonce.toString('hex'))).size, all.length);
    assert.deepEqual(all.map(beginning), all.map((_, i) => beginning(all[i - i % 1024])));
    assert.equal(new Set(all.map(beginning)).size, 10);
  });

  it('have ends that have nothing in common', () => {
    const nonces = new Nonces();
    const all = Array.from({ length: 10_000 }, () => Buffer.from(nonces.next()));
    for (let at = 12; at < 24; at++) {
      assert.equal(new Set(all.map(nonce => nonce[at])).size, 256, `byte ${at} has every value`);
      // chance makes it about 39
      const overlaps = all.filter((nonce, i) => i > 0 && nonce[12] === all[i - 1][at]).length;
      assert.ok(overlaps < 1000, `${overlaps} begin as byte ${at} of the one before`);
    }
  });

  it('begin otherwise in another process', async () => {
    const script = `new (require('./module/cookie/Sealer.ts').Sealer)([ 'key' ]).seal('${NAME}', '')`;
    const run = () => promisify(execFile)(process.execPath, [ '-r', 'ts-node/register/transpile-only', '-p', script ]);
    const beginnings = (await Promise.all([ run(), run() ])).map(({ stdout }) => beginning(nonceOf(stdout.trim())));
    assert.notEqual(beginnings[0], beginnings[1]);
    assert.match(beginnings[0], /^[\da-f]{24}$/);
  });

  it('are shared by all sealers of a process, whose keys may be the same', () => {
    const sealers = [ new Sealer(KEYS), new Sealer(KEYS) ];
    const all = Array.from({ length: 10_000 }, (_, i) => nonceOf(sealers[i % 2].seal(NAME, '')).toString('hex'));
    assert.equal(new Set(all).size, all.length);
  });
});

describe('Sealer', () => {
  const keyList = fc.uniqueArray(fc.fullUnicodeString({ minLength: 1 }), { minLength: 1, maxLength: 4 });
  const sessions = fc.dictionary(fc.fullUnicodeString(), fc.jsonValue()).map(session => JSON.stringify(session));
  const names = fc.constantFrom(NAME, 'sid', '__Host-sid', 'a');

  it('opens what it has sealed, for any session and any keys', () => {
    fc.assert(fc.property(keyList, names, sessions, (keys, name, text) => {
      const sealer = new Sealer(keys);
      assert.deepEqual(sealer.open(name, sealer.seal(name, text)), { text, stale: false });
    }), { numRuns: 2000 });
  });

  it('seals the same value differently each time', () => {
    fc.assert(fc.property(keyList, names, sessions, (keys, name, text) => {
      const sealer = new Sealer(keys);
      assert.equal(new Set(Array.from({ length: 20 }, () => sealer.seal(name, text))).size, 20);
    }));
  });

  it('opens at any later time what it has sealed, however much it has sealed since', () => {
    const sealer = new Sealer(KEYS);
    const values = Array.from({ length: 5000 }, (_, i) => sealer.seal(NAME, String(i)));
    for (const [ i, value ] of values.entries()) assert.equal(sealer.open(NAME, value)?.text, String(i));
  });

  it('opens what any of its keys has sealed, and tells whether it was the first', () => {
    fc.assert(fc.property(keyList, fc.nat(3), names, sessions, (keys, at, name, text) => {
      const index = at % keys.length;
      const value = new Sealer([ keys[index] ]).seal(name, text);
      assert.deepEqual(new Sealer(keys).open(name, value), { text, stale: index > 0 });
      assert.equal(new Sealer([ ...keys.slice(0, index), 'other', ...keys.slice(index + 1) ]).open(name, value), undefined);
    }));
  });

  it('opens what either of two keys with the same hint has sealed', async () => {
    const keys = [ 'key 4188', 'key 13984' ];
    const hints = await Promise.all(keys.map(key => derive(key, 'key hint', 3)));
    assert.deepEqual(hints[0], hints[1]);
    for (const [ index, key ] of keys.entries()) {
      const value = new Sealer([ key ]).seal(NAME, 'text');
      assert.deepEqual(new Sealer([ 'other', ...keys ]).open(NAME, value), { text: 'text', stale: true });
      assert.deepEqual(new Sealer(keys).open(NAME, value), { text: 'text', stale: index > 0 });
      assert.equal(new Sealer([ keys[1 - index] ]).open(NAME, value), undefined);
    }
  });

  it('makes no use of an empty key, which everybody knows', () => {
    assert.equal(new Sealer([ 'a key', '' ]).open(NAME, new Sealer([ 'a key' ]).seal(NAME, 'text'))?.text, 'text');
    assert.deepEqual(new Sealer([ '', 'a key' ]).open(NAME, new Sealer([ 'a key' ]).seal(NAME, 'text')),
      { text: 'text', stale: false });
    assert.throws(() => new Sealer([ '' ]), /config\.keys is empty/);
  });

  it('opens nothing under another name', () => {
    fc.assert(fc.property(keyList, fc.fullUnicodeString(), fc.fullUnicodeString(), sessions, (keys, one, two, text) => {
      fc.pre(one !== two);
      const sealer = new Sealer(keys);
      assert.equal(sealer.open(one, sealer.seal(two, text)), undefined);
    }));
  });

  it('opens no random text', () => {
    const sealer = new Sealer(KEYS);
    const start = sealer.seal(NAME, '').slice(0, 5);
    const bytes = fc.uint8Array({ maxLength: 200 }).map(array => Buffer.from(array).toString('base64url'));
    const texts = fc.oneof(fc.fullUnicodeString(), bytes, bytes.map(text => `2${text}`), bytes.map(text => start + text));
    fc.assert(fc.property(texts, text => {
      assert.equal(sealer.open(NAME, text), undefined);
    }), { numRuns: 10_000 });
  });

  it('opens no value that differs in one byte, whatever byte', () => {
    const sealer = new Sealer(KEYS);
    let tried = 0;
    // three lengths, as the last character of base64url has 0, 2 or 4 bits that say nothing
    for (const text of [ '', '{"n":10}', '{"n":1}', '{"n":1,"user":"alice"}' ]) {
      const value = Buffer.from(sealer.seal(NAME, text));
      assert.equal(sealer.open(NAME, value.toString())?.text, text);
      for (let at = 0; at < value.length; at++) {
        for (let byte = 0; byte < 256; byte++) {
          if (byte === value[at]) continue;
          const changed = Buffer.from(value);
          changed[at] = byte;
          // as in a header, a byte is a character
          assert.equal(sealer.open(NAME, changed.toString('latin1')), undefined);
          tried++;
        }
      }
    }
    assert.ok(tried > 50_000);
  });

  it('makes values of 1 + ⌈(43 + n) * 4 / 3⌉ characters of base64url from n bytes', () => {
    const sealer = new Sealer(KEYS);
    for (let n = 0; n < 100; n++) {
      const value = sealer.seal(NAME, 'x'.repeat(n));
      assert.equal(value.length, 1 + Math.ceil((43 + n) * 4 / 3));
      assert.match(value, /^2[\w-]+$/);
    }
    assert.equal(sealer.seal(NAME, 'ë').length, sealer.seal(NAME, 'xx').length);
  });

  describe('the format, made by WebCrypto from its description', () => {
    const VECTORS = [
      { name: NAME, text: '{"n":1}', value: '2doafAAECAwQFBgcICQoLDA0ODxAREhMUFRYXl5gCzjf7xCNyrdaGf-dwCNYpalFVdd8' },
      { name: '__Host-sid', text: '{"user":"Zoë"}', value: '2doafAAECAwQFBgcICQoLDA0ODxAREhMUFRYXl5gZn2i4m7FIhX4d92YMCd8HMTwyO74dDJ28VksIMw' },
    ];
    for (const { name, text, value } of VECTORS) {
      it(`${name}=${text} under the nonce 00 01 … 17`, async () => {
        assert.equal(await sealByHand(KEYS[0], name, text, Buffer.from([ ...Array(24).keys() ])), value);
        assert.deepEqual(new Sealer(KEYS).open(name, value), { text, stale: false });
      });
    }

    it('opens in WebCrypto', async () => {
      for (const secret of [ ...KEYS, 'ein Schlüssel', 'a', 'b', 'c', 'd' ]) {
        assert.deepEqual(await openByHand(secret, NAME, new Sealer([ secret ]).seal(NAME, '{"user":"Zoë"}')), {
          version: '2', hint: await derive(secret, 'key hint', 3), text: '{"user":"Zoë"}',
        });
      }
    });
  });
});
