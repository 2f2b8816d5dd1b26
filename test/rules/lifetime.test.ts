import { strict as assert } from 'node:assert';
import { resolveConfig } from '../../module/options/SessionConfig';
import { Lifetime } from '../../module/request/Lifetime';

const HOUR = 3600_000;
const DAY = 24 * HOUR;

function begin(record = {}) {
  const sessionOptions: { maxAge?: unknown } = { maxAge: DAY };
  const lifetime = new Lifetime(sessionOptions as never, { config: resolveConfig({}), hints: { lifetime() { /* no hints */ } } as never });
  lifetime.load(record);
  return { lifetime, sessionOptions };
}
const about = ({ isChosen, isChanged, maxAge }: Lifetime) => ({ isChosen, isChanged, maxAge });
const AS_KEPT = { isChosen: false, isChanged: false };

describe('the lifetime of a request\'s session', () => {
  it('is that of the record', () => {
    assert.deepEqual(about(begin({ _maxAge: HOUR }).lifetime), { ...AS_KEPT, maxAge: HOUR });
    assert.deepEqual(about(begin({ _session: true }).lifetime), { ...AS_KEPT, maxAge: 'session' });
  });

  it('is that of the options, where the record has none', () => {
    assert.deepEqual(about(begin().lifetime), { ...AS_KEPT, maxAge: DAY });
  });

  it('is chosen by session.maxAge, also when it is the same', () => {
    const { lifetime } = begin({ _maxAge: HOUR });
    lifetime.maxAge = HOUR;
    assert.deepEqual(about(lifetime), { isChosen: true, isChanged: false, maxAge: HOUR });
    assert.equal(lifetime.now().chosen, HOUR);
  });

  it('is changed by ctx.sessionOptions', () => {
    const { lifetime, sessionOptions } = begin({ _maxAge: HOUR });
    sessionOptions.maxAge = 2 * HOUR;
    assert.deepEqual(about(lifetime), { isChosen: false, isChanged: true, maxAge: 2 * HOUR });
    assert.equal(lifetime.now().chosen, 2 * HOUR);
  });

  it('is not chosen by a request that leaves it alone', () => {
    assert.equal(begin({ _maxAge: HOUR }).lifetime.now().chosen, undefined);
  });

  it('is not chosen any more once it is kept', () => {
    const { lifetime } = begin({ _maxAge: HOUR });
    lifetime.maxAge = 2 * HOUR;
    lifetime.keep(lifetime.now());
    assert.deepEqual(about(lifetime), { ...AS_KEPT, maxAge: 2 * HOUR });
  });

  it('is the one that another request has given it meanwhile', () => {
    const { lifetime } = begin({ _maxAge: HOUR });
    lifetime.keep(lifetime.now(), 3 * HOUR);
    assert.deepEqual(about(lifetime), { ...AS_KEPT, maxAge: 3 * HOUR });
  });

  for (const [ what, maxAge ] of Object.entries({ 'another lifetime': 5 * HOUR, 'the same lifetime': 2 * HOUR })) {
    it(`stays chosen when ${what} was chosen while it was being written`, () => {
      const { lifetime } = begin({ _maxAge: HOUR });
      lifetime.maxAge = 2 * HOUR;
      const then = lifetime.now();
      lifetime.maxAge = maxAge;
      lifetime.keep(then);
      assert.deepEqual(about(lifetime), { isChosen: true, isChanged: maxAge !== 2 * HOUR, maxAge });
      assert.equal(lifetime.now().chosen, maxAge);
    });
  }

  it('is that of the options again after the session has ended', () => {
    const { lifetime } = begin({ _maxAge: HOUR });
    lifetime.forget();
    assert.deepEqual(about(lifetime), { ...AS_KEPT, maxAge: DAY });
  });

  it('stays when the session has ended and the request has chosen it', () => {
    const { lifetime } = begin({ _maxAge: HOUR });
    lifetime.maxAge = 2 * HOUR;
    lifetime.forget();
    assert.deepEqual(about(lifetime), { isChosen: true, isChanged: true, maxAge: 2 * HOUR });
  });

  it('is refused when it is none', () => {
    const { lifetime, sessionOptions } = begin();
    assert.throws(() => {
      lifetime.maxAge = 0;
    }, /session\.maxAge is 0; it must be/);
    sessionOptions.maxAge = 'soon';
    assert.throws(() => lifetime.now(), /ctx\.sessionOptions\.maxAge is 'soon'; it must be/);
  });
});
