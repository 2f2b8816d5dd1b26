import { strict as assert } from 'node:assert';
import { decide, type Decision, type Facts } from '../../module/request/decide';

const HOUR = 3600_000;
const NOW = 1_764_000_000_000;

/** A session in a store that was read and has not changed. */
const READ: Facts = {
  use: 'used', inStore: true, state: 'saved', cookie: 'current', changed: false, lifetimeChanged: false, regenerateFailed: false,
  written: false, headersSent: false, sinceLoaded: 5, rolling: false, renew: false, maxAge: HOUR, expiresAt: NOW + HOUR, absoluteEnd: undefined, storeKeepsExpiry: true,
  now: NOW, isDue: () => false,
};
const yes = () => true;
const IN_COOKIE = { inStore: false, storeKeepsExpiry: false };

const RULES: Array<[ rule: string, facts: Partial<Facts>, decision: string ]> = [
  [ 'nobody has asked for it', { use: 'none', changed: true }, 'nothing' ],
  [ 'it was read', {}, 'nothing' ],
  [ 'it was set to null', { use: 'discarded' }, 'destroy' ],
  [ 'it was set to null in an outage', { use: 'discarded', state: 'unavailable' }, 'destroy' ],
  [ 'it changed', { changed: true }, 'write: changed' ],
  [ 'it is new, and empty', { state: 'new' }, 'nothing' ],
  [ 'it is new, and was filled', { state: 'new', changed: true }, 'write: changed' ],
  [ 'it changed in an outage', { changed: true, state: 'unavailable' }, 'nothing' ],
  [ 'it changed after a regenerate() that failed', { changed: true, regenerateFailed: true }, 'drop changes' ],
  [ 'it did not change after a regenerate() that failed', { regenerateFailed: true }, 'nothing' ],
  [ 'it changed after the response began', { changed: true, headersSent: true }, 'write: changed' ],
  [ 'it is new, and was filled after the response began', { state: 'new', changed: true, headersSent: true }, 'refuse' ],
  [ 'it changed after the response began, in the cookie', { ...IN_COOKIE, changed: true, headersSent: true }, 'refuse' ],
  [ 'it changed, and has ended elsewhere', { changed: true, state: 'ended' }, 'write: changed' ],
  [ 'another lifetime', { lifetimeChanged: true }, 'write: lifetime' ],
  [ 'rolling', { rolling: true }, 'write: rolling' ],
  [ 'rolling, of what is new and empty', { rolling: true, state: 'new' }, 'nothing' ],
  [ 'rolling, of what has ended', { rolling: true, state: 'ended' }, 'nothing' ],
  [ 'rolling, and it was written before', { rolling: true, written: true }, 'nothing' ],
  [ 'renew, with most of the lifetime left', { renew: true }, 'nothing' ],
  [ 'renew, with half of it left', { renew: true, expiresAt: NOW + HOUR / 2 }, 'nothing' ],
  [ 'renew, with less than half of it left', { renew: true, expiresAt: NOW + HOUR / 2 - 1 }, 'write: renew' ],
  [ 'renew, with more than the lifetime left, as clocks may differ by a second', { renew: true, expiresAt: NOW + HOUR + 1000 }, 'nothing' ],
  [ 'renew, with more left than that: the clocks differ', { renew: true, expiresAt: NOW + HOUR + 1001 }, 'write: renew' ],
  [ 'renew, with less than half left, and absoluteMaxAge ends it then', { renew: true, expiresAt: NOW + 1, absoluteEnd: NOW + 1 }, 'nothing' ],
  [ 'renew, with less than half left, and absoluteMaxAge ends it later', { renew: true, expiresAt: NOW + 1, absoluteEnd: NOW + 2 }, 'write: renew' ],
  [ 'less than half of the lifetime left, without renew', { expiresAt: NOW + 1 }, 'nothing' ],
  [ 'renew, in a store that does not say how much is left', { renew: true, expiresAt: undefined }, 'write: renew' ],
  [ 'renew, in a store of the application\'s own that does not', { renew: true, expiresAt: undefined, storeKeepsExpiry: false }, 'nothing' ],
  [ 'renew, of a session that ends with the browser', { renew: true, expiresAt: null, maxAge: 'session' }, 'nothing' ],
  [ 'a cookie under an old key', { cookie: 'stale' }, 'write: stale cookie' ],
  [ 'an update() has renewed it, and the cookie not yet', { cookie: 'stale', written: true }, 'refresh: id' ],
  [ 'the cookie of a session that is over', { state: 'new', cookie: 'expired' }, 'remove cookie' ],
  [ 'the same, when the response took so long that somebody may have signed in', { state: 'new', cookie: 'expired', sinceLoaded: 1000 }, 'nothing' ],
  [ 'the same, and a new session', { state: 'new', cookie: 'expired', changed: true }, 'write: changed' ],
  [ 'it is time to note that it was seen', { isDue: yes }, 'refresh: seen' ],
  [ 'the same, in the cookie', { ...IN_COOKIE, isDue: yes }, 'write: due' ],
  [ 'the same, under rolling', { rolling: true, isDue: yes }, 'write: rolling' ],
  [ 'the same, after it has ended', { state: 'ended', isDue: yes }, 'nothing' ],
  [ 'the same, after an update()', { cookie: 'stale', written: true, isDue: yes }, 'refresh: seen id' ],
];

const told = (decision: Decision) => {
  if (decision.do === 'write') return `write: ${decision.why}`;
  if (decision.do !== 'refresh') return decision.do;
  return `refresh:${decision.noteSeen ? ' seen' : ''}${decision.sendId ? ' id' : ''}`;
};

describe('a commit', () => {
  for (const [ rule, facts, decision ] of RULES) {
    it(`${rule}: ${decision}`, () => assert.equal(told(decide({ ...READ, ...facts })), decision));
  }
});

