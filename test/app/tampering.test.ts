import { strict as assert } from 'node:assert';
import { randomInt } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Application } from 'egg';
import fc from 'fast-check';
import { fixture } from '../support/app';
import { count, MODES, NAME, start, stop } from '../support/web';
/** What a cookie's value is tampered with: the characters of base64url, and others that a header may hold (RFC 6265, 4.1.1). */
const BASE64URL = [ ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_' ];
const CHARACTERS = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))
  .filter(character => /[\t\x20-\x7e\x80-\xff]/.test(character) && character !== ';');

for (const [ mode, given ] of MODES) {
  describe(`a sealed cookie with ${mode}, tampered with`, () => {
    afterEach(stop);

    /**
     * Sends each value in a request of its own.
     *
     * @return how many were sent, how many found a session, how many were reported, and other answers than 200
     */
    async function send({ app, client }: Awaited<ReturnType<typeof start>>, values: Iterable<string>) {
      const { handle } = fixture;
      fixture.handle = session => ({ n: session.n ?? null });
      const { port } = (client as unknown as { server: http.Server }).server.address() as AddressInfo;
      const agent = new http.Agent({ keepAlive: true });
      const queue = [ ...new Set(values) ];
      const result = { sent: queue.length, accepted: 0, reported: 0, failed: 0 };
      (app as unknown as Application).on('session:invalid', () => result.reported++);
      const next = async () => {
        while (queue.length) {
          const headers = { cookie: `${NAME}=${queue.pop()!}` };
          const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
            http.get({ host: '127.0.0.1', port, path: '/run', agent, headers }, resolve).on('error', reject);
          });
          let text = '';
          for await (const chunk of response.setEncoding('latin1')) text += chunk;
          if (response.statusCode !== 200) result.failed++;
          else if (JSON.parse(text).n !== null) result.accepted++;
        }
      };
      await Promise.all(Array.from({ length: 16 }, next));
      agent.destroy();
      fixture.handle = handle;
      return result;
    }

    /** Starts the application, and signs `users` in. */
    async function signIn(users = 1) {
      const started = await start(given());
      const values: string[] = [];
      for (let n = 0; n < users; n++) {
        const browser = started.client.another();
        await browser.run(count);
        values.push(browser.cookies.get(NAME)!);
      }
      return { started, values };
    }
    const none = (sent: number) => ({ sent, accepted: 0, reported: 0, failed: 0 });

    it('not at all: it is accepted', async () => {
      const { started, values } = await signIn(3);
      assert.deepEqual(await send(started, values), { sent: 3, accepted: 3, reported: 0, failed: 0 });
    });

    // every other value of every byte is tried in sealer.test.ts; SEED repeats a run's choice
    it('by a change of one byte, wherever it is: none is accepted', async () => {
      const seed = Number(process.env.SEED ?? randomInt(2 ** 31));
      const { started, values: [ value ] } = await signIn();
      const others = fc.tuple(...[ ...value ].map(original => fc.uniqueArray(
        fc.constantFrom(...CHARACTERS.filter(character => character !== original)), { minLength: 3, maxLength: 3 })));
      const [ chosen ] = fc.sample(others, { seed, numRuns: 1 });
      const changed = chosen.flatMap((characters, at) =>
        characters.map(character => value.slice(0, at) + character + value.slice(at + 1)));
      assert.deepEqual({ seed, ...await send(started, changed) }, { seed, ...none(3 * value.length) });
    });

    it('by truncation, at either end or in the middle: none is accepted', async () => {
      const { started, values: [ value ] } = await signIn();
      const truncated: string[] = [];
      for (let at = 1; at < value.length; at++) {
        truncated.push(value.slice(0, at), value.slice(at));
        for (const length of [ 1, 2, 4 ]) truncated.push(value.slice(0, at) + value.slice(at + length));
      }
      const result = await send(started, truncated);
      assert.ok(result.sent > 2 * value.length);
      assert.deepEqual(result, none(result.sent));
    });

    it('by extension, anywhere: none is accepted', async () => {
      const { started, values: [ value ] } = await signIn();
      const extended = [ value + value, `${value}.${value}`, `""${value}""`, `${value}==`, ` ${value}\t.`, `${value},${value}` ];
      for (const character of [ ...BASE64URL, '=', '.', '%', '"' ]) extended.push(value + character, character + value);
      for (let at = 1; at < value.length; at++) {
        for (const text of [ 'A', value[at], '=', 'AAAA' ]) extended.push(value.slice(0, at) + text + value.slice(at));
      }
      const result = await send(started, extended);
      assert.ok(result.sent > 3 * value.length);
      assert.deepEqual(result, none(result.sent));
    });

    it('by parts of another real cookie: none is accepted', async () => {
      const { started, values: [ one, two ] } = await signIn(2);
      const swapped: string[] = [];
      for (let at = 1; at < one.length; at++) {
        swapped.push(one.slice(0, at) + two.slice(at));
        swapped.push(one.slice(0, at) + two.slice(at, at + 16) + one.slice(at + 16));
      }
      const result = await send(started, swapped.filter(value => value !== one && value !== two));
      assert.ok(result.sent > one.length);
      assert.deepEqual(result, none(result.sent));
    });

    it('by moving it to a cookie of another name: it is not accepted', async () => {
      const elsewhere = await start({ ...given(), key: 'other' });
      await elsewhere.run(count);
      const value = elsewhere.client.cookies.get('other')!;
      const options = given();
      const { client, run } = await start({ ...options, key: 'EGG_SES' });
      await run(count);
      assert.deepEqual(await send(await start(options), [ value, client.cookies.get('EGG_SES')! ]), none(2));
    });

    it('by taking one of an application with other keys: it is not accepted', async () => {
      const options = given();
      const { client, run } = await start(options, { keys: [ 'its key', 'its other key' ] });
      await run(count);
      assert.deepEqual(await send(await start(options), [ client.cookies.get(NAME)! ]), none(1));
    });

    it('by taking one from before the application moved to a store, or back: it is not accepted', async () => {
      const [ , other ] = MODES.find(([ name ]) => name !== mode)!;
      const { client, run } = await start(other());
      await run(count);
      assert.deepEqual(await send(await start(given()), [ client.cookies.get(NAME)! ]), none(1));
    });
  });
}
