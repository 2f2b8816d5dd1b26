import { strict as assert } from 'node:assert';
import type { SessionOptions, SessionRecord } from '../..';
import { Sealer } from '../../module/cookie/Sealer';
import { count, DAY, KEYS, listen, MODES, NAME, read, start, stop } from '../support/web';

describe('custom encode and decode, encrypt and signed', () => {
  afterEach(stop);

  const custom = {
    encode: (record: SessionRecord) => `mine.${Buffer.from(JSON.stringify(record)).toString('hex')}`,
    decode: (text: string) => JSON.parse(Buffer.from(text.slice(5), 'hex').toString()),
  };
  const base64 = (text: string) => Buffer.from(text, 'base64').toString();
  const hex = (text: string) => Buffer.from(text.slice(5), 'hex').toString();
  const SEALED = 'sealed';
  const ENCRYPTED = 'encrypted by Egg';
  const PLAIN = 'readable';

  const ROWS: Array<[ name: string, options: SessionOptions, form: string, signed: boolean, text: (value: string) => string ]> = [
    [ 'nothing', {}, SEALED, false, text => text ],
    [ 'signed: false', { signed: false }, SEALED, false, text => text ],
    [ 'encrypt: false', { encrypt: false }, PLAIN, true, base64 ],
    [ 'encrypt: false, signed: false', { encrypt: false, signed: false }, PLAIN, false, base64 ],
    [ 'encode and decode', custom, ENCRYPTED, false, hex ],
    [ 'encode and decode, signed: false', { ...custom, signed: false }, ENCRYPTED, false, hex ],
    [ 'encode and decode, encrypt: false', { ...custom, encrypt: false }, PLAIN, true, hex ],
    [ 'encode and decode, encrypt: false, signed: false', { ...custom, encrypt: false, signed: false }, PLAIN, false, hex ],
  ];
  for (const [ mode, given, sealedFor ] of MODES) {
    for (const [ name, options, form, signed, text ] of ROWS) {
      it(`${name}: ${mode} is ${form}${signed ? ', with a signature in a cookie beside it' : ''}`, async () => {
        const { client, run } = await start({ ...given(), ...options });
        const response = await run(count);
        assert.deepEqual(response.setCookies.map(line => line.replace(/=[^;]*/, '').replace(/expires=[^;]*/, 'expires')), [
          'EGG_SESS; path=/; max-age=86400; expires; samesite=lax; httponly',
          ...(signed ? [ 'EGG_SESS.sig; path=/; max-age=86400; expires; samesite=lax; httponly' ] : []),
        ]);

        const value = client.cookies.get(NAME)!;
        const sealed = new Sealer(KEYS).open(sealedFor, value);
        let decrypted: string | undefined;
        const { id } = (await run((session, ctx) => {
          decrypted = ctx.cookies.get(NAME, { encrypt: true });
          return { id: session.externalKey };
        })).json();
        assert.deepEqual([ sealed !== undefined, decrypted !== undefined ], [ form === SEALED, form === ENCRYPTED ]);
        const inside = sealed?.text ?? decrypted ?? value;
        if (mode === 'the data') assert.equal(JSON.parse(text(inside)).n, 1);
        else assert.equal(inside, id);

        assert.deepEqual((await run(count)).json(), { n: 2 });
      });
    }
  }

  for (const [ name, options, changeable ] of [
    [ 'encrypt: false', { encrypt: false }, false ],
    [ 'encrypt: false, signed: false', { encrypt: false, signed: false }, true ],
    [ 'encode and decode, encrypt: false', { ...custom, encrypt: false }, false ],
    [ 'encode and decode, encrypt: false, signed: false', { ...custom, encrypt: false, signed: false }, true ],
  ] as const) {
    it(`${name}: anybody can${changeable ? '' : 'not'} change the session`, async () => {
      const { app, client, run } = await start(options);
      const { events } = listen(app);
      await run(count);
      const record = JSON.stringify({ n: 99, _expire: Date.now() + DAY, _maxAge: DAY });
      client.cookies.set(NAME, 'encode' in options
        ? `mine.${Buffer.from(record).toString('hex')}`
        : Buffer.from(record).toString('base64'));
      assert.equal((await run(read)).json().n, changeable ? 99 : null);
      assert.deepEqual(events, []);
    });
  }
});
