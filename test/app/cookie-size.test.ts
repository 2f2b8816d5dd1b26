import { strict as assert } from 'node:assert';
import { HTTPS, NAME, start, stop } from '../support/web';

describe('a session that is too large for a cookie', () => {
  afterEach(stop);

  const sizeOf = (line: string) => line.slice(0, line.indexOf(';')).length - 1;

  for (const key of [ NAME, '__Secure-a-long-name-for-a-cookie' ]) {
    it(`sealed, with the name ${key}: 4096 bytes of name and value are kept, one more is an error`, async () => {
      const { app, client, run } = await start({ key }, { config: { proxy: true } });
      const store = (length: number) => client.tryRun(session => {
        session.text = 'x'.repeat(length);
      }, HTTPS);
      const empty = sizeOf((await store(0)).setCookies[0]);
      let length = Math.floor((4096 - empty) * 3 / 4) - 3;
      let response = await store(length);
      while (response.status === 200 && sizeOf(response.setCookies[0]) < 4096) response = await store(++length);
      assert.equal(sizeOf(response.setCookies[0]), 4096);
      assert.equal((await run(session => ({ length: session.text.length }), HTTPS)).json().length, length);

      const kept = client.cookies.get(key);
      app.mockLog();
      const refused = await store(length + 1);
      assert.equal(refused.status, 500);
      assert.deepEqual(refused.setCookies, []);
      app.expectLog(`the session is too large for a cookie: ${key} would take 4097 bytes, and browsers drop what is over 4096. ` +
        `The largest field is session.text, ${length + 3} bytes of JSON. Keep less in the session, or keep sessions in a store`);
      app.notExpectLog('xxxx');
      assert.equal(client.cookies.get(key), kept);
      assert.equal((await run(session => ({ length: session.text.length }), HTTPS)).json().length, length);
    });
  }

  it('counts the name of the twin that Egg sets besides, where that is on', async () => {
    const { client } = await start({ sameSite: 'none' }, { config: { proxy: true, cookies: { autoChips: true } } });
    const chrome = { ...HTTPS, 'user-agent': 'Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36' };
    const seen = { kept: 0, refused: Infinity };
    for (let length = 2930; length < 2980; length++) {
      const { status, setCookies, text } = await client.tryRun(session => {
        session.text = 'x'.repeat(length);
      }, chrome);
      if (status === 200) {
        assert.deepEqual(setCookies.map(line => line.split('=')[0]), [ `_CHIPS-${NAME}`, NAME ]);
        seen.kept = Math.max(seen.kept, ...setCookies.map(sizeOf));
      } else {
        const [ , bytes ] = /_CHIPS-EGG_SESS would take (\d+) bytes/.exec(text)!;
        seen.refused = Math.min(seen.refused, Number(bytes));
      }
    }
    assert.ok(seen.kept <= 4096 && seen.kept > 4093, `${seen.kept} bytes are kept`);
    assert.ok(seen.refused > 4096 && seen.refused < 4100, `${seen.refused} bytes are refused`);
  });

  it('counts bytes, not characters', async () => {
    const { client } = await start();
    const response = await client.tryRun(session => {
      Object.assign(session, { a: 'x'.repeat(1999), text: 'ë'.repeat(1000), z: 1 });
    });
    assert.equal(response.status, 500);
    assert.match(response.text, /would take 5\d\d\d bytes, .* The largest field is session\.text, 2002 bytes of JSON\./);
  });

  it('leaves the application\'s own cookies alone', async () => {
    const { client } = await start();
    const response = await client.tryRun((session, ctx) => {
      session.text = 'x'.repeat(5000);
      ctx.cookies.set('mine', '1', { signed: false });
    }, { accept: 'application/json' });
    assert.equal(response.status, 500);
    assert.deepEqual(response.setCookies.map(line => line.split('=')[0]), [ 'mine' ]);
  });

  it('is an error for save() in the handler too', async () => {
    const { run } = await start();
    const response = await run(async session => {
      session.text = 'x'.repeat(5000);
      const { message } = await session.save().catch((err: Error) => err);
      session.text = 'x';
      return { message };
    });
    assert.match(response.json().message, /too large for a cookie/);
    assert.equal(response.setCookies.length, 1);
  });

  for (const [ name, options ] of [
    [ 'encode, encrypted by Egg', {}],
    [ 'encode, encrypt: false', { encrypt: false }],
    [ 'encode, encrypt: false, signed: false', { encrypt: false, signed: false }],
  ] as const) {
    // the lengths that encryption gives are 32 apart, and the length of the name makes up for that
    for (const key of [ NAME, 'EGG_SESS'.padEnd(20, '-'), 'EGG_SESS'.padEnd(21, '-') ]) {
      it(`${name}, with a name of ${key.length} bytes: the limit is at the bytes that the cookie really has`, async () => {
        const { client } = await start({
          key, ...options,
          encode: ({ times, letter }) => (letter as string).repeat(times as number),
          decode: () => ({}),
        });
        let seen = { kept: 0, refused: Infinity };
        for (const letter of 'encrypt' in options ? [ 'x' ] : [ 'x', 'ë' ]) {
          const bytes = Buffer.byteLength(letter);
          const [ from, to ] = 'encrypt' in options ? [ 4060, 4110 ] : [ 3030, 3100 ];
          for (let times = Math.floor(from / bytes); times * bytes < to; times++) {
            let real = 0;
            const response = await client.tryRun((session, ctx) => {
              Object.assign(session, { times, letter });
              ctx.cookies.set('probe', letter.repeat(times), { encrypt: !('encrypt' in options), signed: false });
              real = key.length + sizeOf((ctx.response.get('set-cookie') as unknown as string[]).at(-1)!) - 'probe'.length;
              ctx.response.remove('set-cookie');
            });
            if (response.status === 200) {
              assert.equal(sizeOf(response.setCookies[0]), real);
              seen = { ...seen, kept: Math.max(seen.kept, real) };
            } else {
              assert.match(response.text, new RegExp(`would take ${real} bytes`));
              assert.deepEqual(response.setCookies, []);
              seen = { ...seen, refused: Math.min(seen.refused, real) };
            }
          }
        }
        const limits: Record<number, object> = {
          8: { kept: 4084, refused: 4104 }, 20: { kept: 4096, refused: 4116 }, 21: { kept: 4077, refused: 4097 },
        };
        assert.deepEqual(seen, 'encrypt' in options ? { kept: 4096, refused: 4097 } : limits[key.length]);
      });
    }
  }
});
