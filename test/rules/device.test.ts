import { strict as assert } from 'node:assert';
import mm from 'egg-mock';
import { Challenges, standFor } from '../../module/device/challenges';
import { isSignedBy, publicJwk, readProof, stringIn } from '../../module/device/proof';
import type { PublicJwk } from '../../module/record/DeviceBinding';
import { Sealer } from '../../module/cookie/Sealer';
import { resolveConfig } from '../../module/options/SessionConfig';
import { DeviceKey, hmacWith } from '../support/device';

const ES = new DeviceKey();
const RS = new DeviceKey('RS256');
const RS4096 = new DeviceKey('RS256', 4096);
const OTHER = new DeviceKey();

/** Whether a header proves at a registration that the sender has the key which it brings along. */
function registers(header: string): boolean {
  const proof = readProof(header);
  const jwk = proof && publicJwk(proof.jwk);
  return Boolean(jwk && isSignedBy(jwk, proof));
}

/** Whether it proves at a refresh that the sender has this key. */
function refreshes(header: string, jwk: PublicJwk): boolean {
  const proof = readProof(header);
  return Boolean(proof && proof.jwk === undefined && isSignedBy(jwk, proof));
}

const jwkOf = (key: DeviceKey) => publicJwk(key.jwk)!;
const b64 = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** The header with one character changed in each place. */
const variants = (header: string) => [ ...header ].map((char, i) => `${header.slice(0, i)}${char === 'A' ? 'B' : 'A'}${header.slice(i + 1)}`);

describe('a proof of a device', () => {
  for (const [ name, key ] of [[ 'ES256', ES ], [ 'RS256 with 2,048 bits', RS ], [ 'RS256 with 4,096 bits', RS4096 ]] as const) {
    it(`${name}: counts, in quotes, without, and with parameters behind`, () => {
      const [ registration, refresh ] = [ key.registration('c'), key.jwt('c') ];
      for (const form of [ (jwt: string) => jwt, (jwt: string) => `"${jwt}"`, (jwt: string) => `"${jwt}";a=1;b`, (jwt: string) => `${jwt} ;a` ]) {
        assert.ok(registers(form(registration)));
        assert.ok(refreshes(form(refresh), jwkOf(key)));
      }
      assert.equal(readProof(refresh)!.challenge, 'c');
    });
  }

  it('is signed as RFC 7515, A.3, has it', () => {
    const jwk = publicJwk({ kty: 'EC', crv: 'P-256', x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU', y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0' })!;
    const signed = Buffer.from('eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ');
    const signature = Buffer.from('DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q', 'base64url');
    const proof = { alg: 'ES256' as const, jwk: undefined, challenge: '', signed, signature };
    assert.equal(isSignedBy(jwk, proof), true);
    assert.equal(isSignedBy(jwk, { ...proof, signed: Buffer.concat([ signed, Buffer.from('x') ]) }), false);
    assert.equal(isSignedBy(jwk, { ...proof, alg: 'RS256' }), false);
  });

  it('with any character changed is none', () => {
    const [ registration, refresh ] = [ ES.registration('challenge'), ES.jwt('challenge') ];
    for (const each of variants(registration)) assert.ok(!registers(each) || readProof(each)!.challenge !== 'challenge', each);
    for (const each of variants(refresh)) assert.ok(!refreshes(each, jwkOf(ES)), each);
  });

  const head = (more: object) => ({ head: more });
  const REGISTRATIONS: Array<[ what: string, header: string ]> = [
    [ 'nothing', '' ],
    [ 'a comma, as of two headers', `"${ES.registration('c')}", "${ES.registration('c')}"` ],
    [ 'half of the quotes', `"${ES.registration('c')}` ],
    [ 'two parts', 'e30.e30' ],
    [ 'four parts', `${ES.registration('c')}.e30` ],
    [ 'parts that are empty', '..' ],
    [ 'parts that are no JSON', `${b64('no')}.${b64('no')}.AAAA` ],
    [ 'parts that are lists', `${b64([])}.${b64([])}.AAAA` ],
    [ 'parts that are null', `${b64('null')}.${b64('null')}.AAAA` ],
    [ 'bytes that are no UTF-8', `${Buffer.from([ 0x22, 0xff, 0x22 ]).toString('base64url')}.e30.AAAA` ],
    [ '100 kB', `${ES.registration('c', { body: { more: 'x'.repeat(100_000) } })}` ],
    [ 'one that is nested deep', `${b64('['.repeat(3000))}.${b64('[')}.AAAA` ],
    [ 'no typ', ES.registration('c', head({ typ: undefined })) ],
    [ 'another typ', ES.registration('c', head({ typ: 'JWT' })) ],
    [ 'alg none, with no signature', ES.registration('c', { ...head({ alg: 'none' }), signature: '' }) ],
    [ 'alg none, with a signature', ES.registration('c', head({ alg: 'none' })) ],
    [ 'alg None', ES.registration('c', head({ alg: 'None' })) ],
    [ 'HS256 with the public key', ES.registration('c', { ...head({ alg: 'HS256' }), signature: hmacWith(ES.publicKey) }) ],
    [ 'ES256 with an HMAC', ES.registration('c', { signature: hmacWith(ES.publicKey) }) ],
    [ 'ES384', ES.registration('c', head({ alg: 'ES384' })) ],
    [ 'RS256 with the key of ES256', ES.registration('c', head({ alg: 'RS256' })) ],
    [ 'ES256 with the key of RS256', RS.registration('c', head({ alg: 'ES256' })) ],
    [ 'RS256 with 1,024 bits', new DeviceKey('RS256', 1024).registration('c') ],
    [ 'P-384', new DeviceKey('ES256', 0, 'P-384').registration('c') ],
    [ 'secp256k1', new DeviceKey('ES256', 0, 'secp256k1').registration('c') ],
    [ 'no key', ES.jwt('c') ],
    [ 'a key that is null', ES.jwt('c', head({ jwk: null })) ],
    [ 'a key that is text', ES.jwt('c', head({ jwk: 'key' })) ],
    [ 'another key', ES.jwt('c', head({ jwk: OTHER.jwk })) ],
    [ 'a private key', ES.jwt('c', head({ jwk: ES.privateJwk })) ],
    [ 'a private RSA key', RS.jwt('c', head({ jwk: RS.privateJwk })) ],
    [ 'a private part that is empty', ES.jwt('c', head({ jwk: { ...ES.jwk, d: '' } })) ],
    [ 'a secret', ES.jwt('c', head({ jwk: { kty: 'oct', k: 'AAAA' } })) ],
    [ 'a secret beside the key', ES.jwt('c', head({ jwk: { ...ES.jwk, k: 'AAAA' } })) ],
    [ 'a point that is not on the curve', ES.jwt('c', head({ jwk: { ...ES.jwk, y: ES.jwk.x } })) ],
    [ 'a point at infinity', ES.jwt('c', head({ jwk: { ...ES.jwk, x: b64('\0'.repeat(32)), y: b64('\0'.repeat(32)) } })) ],
    [ 'a coordinate that is short', ES.jwt('c', head({ jwk: { ...ES.jwk, x: 'AAAA' } })) ],
    [ 'a coordinate with padding', ES.jwt('c', head({ jwk: { ...ES.jwk, x: `${ES.jwk.x}=` } })) ],
    [ 'a small exponent', RS.jwt('c', head({ jwk: { ...RS.jwk, e: 'Aw' } })) ],
    [ 'an exponent of 1', RS.jwt('c', head({ jwk: { ...RS.jwk, e: 'AQ' } })) ],
    [ 'a modulus with zeros in front', RS.jwt('c', head({ jwk: { ...RS.jwk, n: Buffer.concat([ Buffer.alloc(1), Buffer.from(RS.jwk.n as string, 'base64url') ]).toString('base64url') } })) ],
    [ 'an extension that must be understood', ES.registration('c', head({ crit: [ 'b64' ], b64: false })) ],
    [ 'no challenge', ES.registration('c', { body: { jti: undefined } }) ],
    [ 'a challenge that is no text', ES.registration('c', { body: { jti: 7 } }) ],
    [ 'no signature', ES.registration('c', { signature: '' }) ],
    [ 'a signature of zeros', ES.registration('c', { signature: Buffer.alloc(64).toString('base64url') }) ],
    [ 'a signature that is short', ES.registration('c', { signature: 'AAAA' }) ],
    [ 'a signature by another key', ES.registration('c', { signature: signed => OTHER.sign(signed) }) ],
    [ 'a signature of something else', ES.registration('c', { signature: ES.sign('something') }) ],
    [ 'a signature of zeros, RSA', RS.registration('c', { signature: Buffer.alloc(256).toString('base64url') }) ],
  ];
  for (const [ what, header ] of REGISTRATIONS) {
    it(`at a registration: ${what} is none`, () => assert.equal(registers(header), false));
  }

  const REFRESHES: Array<[ what: string, header: string ]> = [
    [ 'a key of its own', ES.registration('c') ],
    [ 'a key that is null', ES.jwt('c', { head: { jwk: null } }) ],
    [ 'another key\'s signature', OTHER.jwt('c') ],
    [ 'RS256', RS.jwt('c') ],
    [ 'alg none', ES.jwt('c', { head: { alg: 'none' }, signature: '' }) ],
    [ 'HS256 with the public key', ES.jwt('c', { head: { alg: 'HS256' }, signature: hmacWith(ES.publicKey) }) ],
  ];
  for (const [ what, header ] of REFRESHES) {
    it(`at a refresh: ${what} is none`, () => assert.equal(refreshes(header, jwkOf(ES)), false));
  }

  it('keeps of a key what is public, and nothing else', () => {
    assert.deepEqual(publicJwk({ ...ES.jwk, kid: 'x', alg: 'ES256', more: {} }), ES.jwk);
    assert.deepEqual(publicJwk({ ...RS.jwk, use: 'sig' }), RS.jwk);
  });

  it('a string is taken with its quotes and without', () => {
    assert.deepEqual([ '"a.b"', 'a.b', '"a";id="c"', 'a;b', '"a', 'a"', 'a b', '"a" "b"', '', '""' ].map(stringIn),
      [ 'a.b', 'a.b', 'a', 'a', undefined, undefined, undefined, undefined, undefined, undefined ]);
  });
});

describe('a challenge', () => {
  const challenges = new Challenges(new Sealer([ 'a key' ]), 'sid');
  const about = { key: 'the key of a record', state: '7' };
  afterEach(mm.restore);

  const at = (ms: number) => {
    const then = Date.now() + ms;
    mm(Date, 'now', () => then);
  };

  it('says what it was made for, for as long as it stands', () => {
    const challenge = challenges.make('refresh', about);
    assert.match(challenge, /^[\w-]+$/);
    assert.deepEqual(challenges.open('refresh', challenge, 1000), about);
    at(900);
    assert.deepEqual(challenges.open('refresh', challenge, 1000), about);
    at(200);
    assert.equal(challenges.open('refresh', challenge, 1000), undefined);
  });

  it('of a server whose clock is ahead by a minute stands, by more it does not', () => {
    at(50_000);
    const near = challenges.make('refresh', about);
    at(20_000);
    const far = challenges.make('refresh', about);
    mm.restore();
    assert.deepEqual(challenges.open('refresh', near, 1000), about);
    assert.equal(challenges.open('refresh', far, 1000), undefined);
  });

  it('for the other purpose, of another application or with other keys opens nothing', () => {
    const foreign = [
      challenges.make('registration', about),
      new Challenges(new Sealer([ 'a key' ]), 'other').make('refresh', about),
      new Challenges(new Sealer([ 'another key' ]), 'sid').make('refresh', about),
      new Sealer([ 'a key' ]).seal('sid', JSON.stringify([ Date.now(), 'key', '7' ])),
      new Sealer([ 'a key' ]).seal('sid id', JSON.stringify([ Date.now(), 'key', '7' ])),
      '', 'c', '2', 'x'.repeat(8000),
    ];
    for (const each of foreign) assert.equal(challenges.open('refresh', each, 1000), undefined, each);
    for (const each of variants(challenges.make('refresh', about))) assert.equal(challenges.open('refresh', each, 1000), undefined, each);
  });

  it('under an old key still opens', () => {
    const old = challenges.make('refresh', about);
    assert.deepEqual(new Challenges(new Sealer([ 'new', 'a key' ]), 'sid').open('refresh', old, 1000), about);
  });

  it('has of a principal what does not tell who it is, and is short', () => {
    assert.equal(standFor('7'.repeat(5000)).length, 43);
    assert.notEqual(standFor('7'), standFor('8'));
  });
});

describe('config.session.deviceBound', () => {
  const GOOD = { secure: true, principal: 'userId' };
  const DEFAULTS = { maxAge: 600_000, path: '/session/device', required: false };

  it('has its defaults, and what is given', () => {
    assert.deepEqual(resolveConfig({ ...GOOD, deviceBound: true }).deviceBound, DEFAULTS);
    assert.deepEqual(resolveConfig({ principal: 'userId', key: '__Host-sid', deviceBound: {} }).deviceBound, DEFAULTS);
    assert.deepEqual(resolveConfig({ ...GOOD, deviceBound: { maxAge: 60_000, path: '/d', required: true } }).deviceBound,
      { maxAge: 60_000, path: '/d', required: true });
    assert.equal(resolveConfig({ ...GOOD, path: '/shop', deviceBound: { path: '/shop/device' } }).deviceBound!.path, '/shop/device');
    for (const off of [ false, null, undefined ]) assert.equal('deviceBound' in resolveConfig({ deviceBound: off }), false);
  });

  const BAD: Array<[ options: object, message: RegExp ]> = [
    [{ deviceBound: 'yes' }, /deviceBound is 'yes'; it must be true, false or \{/ ],
    [{ deviceBound: [] }, /deviceBound is \[\]; it must be true, false or \{/ ],
    [{ deviceBound: { maxage: 5 } }, /it has no option 'maxage', only maxAge, path and required/ ],
    [{ deviceBound: { maxAge: 1000 } }, /deviceBound\.maxAge is 1000; it must be a number of milliseconds, from a minute to a day/ ],
    [{ deviceBound: { path: '/' } }, /deviceBound\.path is '\/'; it must be a path/ ],
    [{ deviceBound: { path: '/a"b' } }, /deviceBound\.path/ ],
    [{ deviceBound: { required: 1 } }, /deviceBound\.required is 1; it must be true or false/ ],
    [{ deviceBound: true, principal: null }, /it needs config\.session\.principal/ ],
    [{ deviceBound: true, secure: null }, /it needs config\.session\.secure: true/ ],
    [{ deviceBound: true, externalKey: { get: () => '', set: () => undefined } }, /externalKey/ ],
    [{ deviceBound: true, domain: 'example.com' }, /domain/ ],
    [{ deviceBound: true, partitioned: true }, /partitioned/ ],
    [{ deviceBound: true, path: '/shop' }, /its path, \/session\/device, must be below that of the cookie, \/shop/ ],
    [{ deviceBound: true, path: '/session/dev' }, /must be below/ ],
  ];
  for (const [ options, message ] of BAD) {
    it(`is refused: ${message.source}`, () => {
      assert.throws(() => resolveConfig({ ...GOOD, ...options }), (err: any) => err.code === 'ERR_SESSION_CONFIG' && message.test(err.message));
    });
  }
});
