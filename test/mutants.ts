/*
 * Faults of one line each, and the tests that must notice them: `npm run mutants` plants one after the other, and tells which of them no test finds.
 */

/** A fault to plant, its harm, and the tests that must notice it. */
export interface Mutant {
  /** A letter for the subject, and a number. */
  readonly id: string;
  /** The file, from the root of the repository. */
  readonly file: string;
  /** The text that is replaced; it is in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** The harm to users. */
  readonly why: string;
  /** The files in `test/`, without `.test.ts`, that ought to notice, the quickest first. */
  readonly tests: readonly string[];
  /** The reason why it may stay unnoticed. */
  readonly accepted?: string;
}

export const MUTANTS: Mutant[] = [];

function fault(id: string, file: string, find: string, replace: string, tests: string, why: string, accepted?: string): void {
  MUTANTS.push({ id, file, find, replace, why, tests: tests.split(' '), accepted });
}

// ---- C: the cookie

fault('C1', 'module/cookie/IdTransport.ts', 'new SessionCookie(app, config, `${config.key} id`, this)', 'new SessionCookie(app, config, config.key, this)',
  'rules/session-cookie', 'what a cookie has kept as data once could be taken for the id of a session');
fault('C2', 'module/cookie/Sealer.ts', "if (bytes.toString('base64url') !== value.slice(1)) return undefined;", '',
  'rules/sealer', 'one sealed value has many spellings');
fault('C3', 'module/cookie/Sealer.ts', 'return { text, stale: index > 0 };', 'return { text, stale: false };',
  'rules/sealer', 'nothing is sealed anew with a new key, and taking the old one away signs everybody out');
fault('C4', 'module/cookie/Nonces.ts', 'this.used += random.copy(', 'random.copy(',
  'rules/sealer', 'all cookies have the same nonce, which breaks the encryption');
fault('C5', 'module/cookie/Xaes256Gcm.ts', 'decipher.final();', '',
  'rules/sealer', 'anybody can write the cookie of anybody');
fault('C7', 'module/cookie/SharedCaches.ts', '^(surrogate-control|', '^(',
  'rules/session-cookie', 'a shared cache that goes by Surrogate-Control hands out a session');
fault('C8', 'module/cookie/SharedCaches.ts', '/^(public|s-maxage\\b.*)$/i', '/^(public)$/i',
  'rules/session-cookie', 's-maxage lets shared caches keep a response that has a session');
fault('C9', 'module/cookie/SessionCookie.ts', 'this.names = [ key, `${key}.sig`, TWIN + key, `${TWIN}${key}.sig` ]', 'this.names = [ key ]',
  'rules/session-cookie', 'a cookie that is taken back leaves its signature, or its partitioned twin, in the response');
fault('C10', 'module/cookie/Sealer.ts', 'MAX_COOKIE_BYTES = 4096', 'MAX_COOKIE_BYTES = 8192',
  'rules/session-cookie', 'browsers drop the cookie without a word, and users are signed out');
fault('C11', 'module/cookie/DataCookie.ts', '"_expire":${now + maxAge}', '"_expire":${now + maxAge / 1000}',
  'rules/session-cookie', 'a session in the cookie ends at once, as milliseconds are taken for seconds');
fault('C12', 'module/cookie/SessionCookie.ts', 'return this.lines(ctx).some(line => this.isOurs(line));', 'return false;',
  'rules/session-cookie', 'shared caches keep responses that set the cookie of a session');
fault('C13', 'module/cookie/SessionCookie.ts', 'for (const raw of values) {', 'for (const raw of values.slice(0, 1)) {',
  'rules/session-cookie', 'another host of the domain can sign users out, with a cookie of the same name');
fault('C14', 'module/cookie/IdTransport.ts', 'find(({ value, stale }) => value === id && !stale)', 'find(({ value }) => value === id)',
  'rules/session-cookie', 'an id is sent back under its old key, and taking that key away signs everybody out');
fault('C15', 'module/cookie/SealedCookie.ts', 'this.opened.set(endOf(copy), { value: copy, unsealed });', '',
  'app/opened-cookies', 'each request decrypts its cookie again');
fault('C30', 'module/cookie/SealedCookie.ts', 'if (known?.value === value) return', 'if (known) return',
  'app/opened-cookies app/tampering', 'anybody can change a cookie that has opened once, but for its end');
fault('C16', 'module/cookie/SessionCookie.ts', 'if (stale) this.setLines(ctx, before);', '',
  'rules/session-cookie', 'a route that does not use the session sets, or removes, the signature of its cookie');
fault('C17', 'module/cookie/places.ts', '.filter(each => !SUFFIX.test(each))', '',
  'rules/cookie-places', 'signing out sends cookies that browsers refuse, in place of one that they would take');
fault('C18', 'module/cookie/Xaes256Gcm.ts', '!this.last?.nonce.equals(nonce.subarray(0, KEY_NONCE_BYTES))', '!this.last',
  'rules/sealer', 'no cookie opens but the first 1,024');
fault('C19', 'module/cookie/Nonces.ts', 'this.used = random.copy(nonce, 0, 0, KEY_NONCE_BYTES);', 'this.used = KEY_NONCE_BYTES;',
  'rules/sealer', 'one key seals so many messages that two may have the same nonce');

// ---- L: egg-session's cookies

fault('L1', 'module/cookie/LegacyCookie.ts', 'keys.verify(`${name}=${value}`, signature) >= 0', 'keys.verify(`${name}=${value}`, signature) >= -1',
  'rules/legacy-cookie', 'any signature is a good one: anybody can be anybody');
fault('L2', 'module/cookie/LegacyCookie.ts', '_expire: cap(record._expire, Date.now() + maxAge)', '_expire: record._expire',
  'rules/legacy-cookie', 'a forged cookie lives for ever');
fault('L3', 'module/cookie/LegacyCookie.ts', '_maxAge: cap(record._maxAge, maxAge)', '_maxAge: record._maxAge',
  'rules/legacy-cookie', 'a forged cookie chooses how long its session lives');
fault('L4', 'module/cookie/SessionCookie.ts', 'this.sealed && this.config.acceptLegacyCookie) this.findLegacy', 'this.sealed) this.findLegacy',
  'rules/session-cookie', 'cookies that can be forged are accepted where nobody has asked for that');
fault('L5', 'module/cookie/LegacyCookie.ts', "String('value' in text ? text.value : text)", 'String(text)',
  'rules/legacy-cookie', 'on Egg 4, none of egg-session\'s cookies opens, and the move signs everybody out');
fault('L6', 'module/cookie/SessionCookie.ts', 'found.opened.push({ value, stale: true, raw });', 'found.opened.push({ value, stale: false, raw });',
  'rules/session-cookie', 'egg-session\'s cookie is never sealed, and is refused once the option is removed');

// ---- R: loading

fault('R1', 'module/request/load.ts', '(!hasClock && isExpired(record)) || hasOutlived(record, config)', '(!hasClock && isExpired(record))',
  'rules/load', 'absoluteMaxAge has no effect');
fault('R2', 'module/request/load.ts', "return { ...NEW, state: 'ended' as const, id };", 'return { ...NEW, id };',
  'rules/load', 'a late request brings the old id back, or takes the new one from the browser');
fault('R3', 'module/request/load.ts', 'store.renewsOnRead && !valid && !env.device && autoCommit', 'store.renewsOnRead && !env.device && autoCommit',
  'rules/load', 'a session that `valid` refuses lives on with each request');
fault('R4', 'module/request/load.ts', 'store.renewsOnRead && !valid && !env.device && autoCommit', 'store.renewsOnRead && !valid && !env.device',
  'rules/load', 'under autoCommit: false, a session lives on that nobody has committed');
fault('R6', 'module/request/load.ts', 'if (isOver && principal !== undefined && store.isIndexed) await removeFromIndex(store, principal, key, { ctx });', '',
  'rules/load', 'sessions that have expired are kept in the index, and each list reads them');
fault('R7', 'module/request/load.ts', "refusePromise(isValid, 'valid');", '',
  'rules/load', 'an async `valid` accepts each session');
fault('R8', 'module/request/load.ts', 'value: logValue ? record : undefined', 'value: record',
  'rules/load', 'the data of sessions are in the log under logValue: false');
fault('R9', 'module/request/load.ts', 'key: id === undefined ? id : shortHash(id)', 'key: id',
  'rules/load', 'ids that sign in are in the log');

// ---- Q: the request's life

fault('Q1', 'module/request/RequestSession.ts', 'if (!store && this.env.usesSession(this.ctx)) return;', 'return;',
  'app/egg-session-data app/load-injected app/load-elsewhere', 'where a middleware has looked at the session before it was loaded, handlers write to a new one, and the user\'s is lost');
fault('Q2', 'module/request/RequestSession.ts', 'this.loading ??= this.load(() => undefined);', 'this.loading = this.load(() => undefined);',
  'app/load-late app/load-elsewhere', 'of two loadSession() at once, the second throws away what was changed after the first');
fault('Q3', 'module/request/decide.ts', "if (facts.cookie === 'stale') return 'stale cookie';", '',
  'rules/decide', 'whoever only reads keeps a cookie under an old key, and is signed out when that key is removed');
fault('Q4', 'module/request/state.ts', '? { ...state, regenerateFailed: true } : state', '? state : state',
  'rules/data', 'after a regenerate() that failed, a sign-in is saved under the old id, which somebody may have planted');
fault('Q5', 'module/request/RequestSession.ts', 'if (data && !(this.queue.isBusy || this.isUnderWay())) {', 'if (data && !this.isUnderWay()) {',
  'rules/request', 'a request ends while its save() is under way');
fault('Q6', 'module/request/decide.ts', "if (facts.rolling) return 'rolling';", '',
  'rules/decide', 'under rolling, whoever only reads is signed out while active');
fault('Q7', 'module/request/decide.ts', "(!inStore || state === 'new')", "state === 'new'",
  'rules/decide', 'a change after the response has begun is lost without a word');
fault('Q8', 'module/request/RequestSession.ts', "decision.do === 'write' && this.commitsItself && this.keeper", "decision.do === 'write' && this.keeper",
  'rules/request', 'under autoCommit: false, a session in the cookie is saved all the same');
fault('Q9', 'module/request/RequestSession.ts', 'if (!failed && !ctx.headerSent) throw err;', 'if (!ctx.headerSent) throw err;',
  'rules/request', 'the error of the store takes the place of the handler\'s own');
fault('Q10', 'module/request/RequestSession.ts', "if (this.env.config.externalKey && this.state.at === 'saved' && this.state.written) this.keeper.sendId();", '',
  'rules/request', 'a client without cookies is not told its new id when the answer is a 503');
fault('Q11', 'module/request/RequestSession.ts', 'const confirmed = !this.state.written || ctx.headerSent || keeper.confirm();', 'const confirmed = true as Promise<boolean> | true;',
  'rules/request', 'a response sets the cookie of a session that has ended meanwhile');
fault('Q12', 'module/request/RequestSession.ts', '.catch(err => logUntold(ctx, err));\n      if (isOver)', ';\n      if (isOver)',
  'rules/request', 'an old session that the store can\'t remove answers 503 to who needs none');
fault('Q13', 'module/request/RequestSession.ts', 'else if (this.livesOnUnused()) await this.keeper.noteUnused();', '',
  'rules/request', 'a session that requests only pass by lives on, and can\'t be listed or revoked any more');
fault('Q14', 'module/request/RequestSession.ts', 'this.watch.signedInWithOldId && keeper.hasOldId', 'this.watch.signedInWithOldId',
  'rules/request', 'the warning of session fixation comes where all is well');
fault('Q15', 'module/request/RequestSession.ts', "if (!isFatal || this.state.at !== 'left out') this.state = unavailable(err);", 'if (!isFatal) this.state = unavailable(err);',
  'rules/request', 'a session that the store could not be asked for counts as one that nobody has read');
fault('Q16', 'module/request/RequestSession.ts', 'if (this.state !== UNREAD) this.noteEarlyUse();', 'this.state = UNREAD;',
  'app/egg-session-data', 'what middleware before the session\'s has changed in the cookie is lost');

// ---- O: commits and operations

fault('O1', 'module/request/decide.ts', "if (state === 'unavailable') return NOTHING;", '',
  'rules/decide', 'an outage signs users out, or writes empty data over theirs');
fault('O2', 'module/request/decide.ts', "if (changed && facts.regenerateFailed) return { do: 'drop changes' };", '',
  'rules/decide', 'what was meant for a new id is saved under the old one, which somebody may have planted');
fault('O3', 'module/request/decide.ts', "if (changed && facts.headersSent && (!inStore || state === 'new')) return { do: 'refuse' };", '',
  'rules/decide', 'a session is stored that no browser is told of, and nobody is told');
fault('O4', 'module/request/decide.ts', "if (cookie === 'expired' && facts.sinceLoaded < REMOVAL_MS) return { do: 'remove cookie' };", '',
  'rules/decide', 'the cookie of a session that is over is never removed');
fault('O5', 'module/request/StoreKeeper.ts', "if (state.at === 'saved' && state.data && !await stored.recordActivity(state.data.session)) this.markEnded();",
  "if (state.at === 'saved' && state.data) await stored.recordActivity(state.data.session);",
  'rules/request', 'a request goes on with a session that was revoked');
fault('O6', 'module/request/RequestSession.ts', 'ctx.headerSent || keeper.confirm()', 'keeper.confirm()',
  'rules/request', 'the store is asked after responses that can\'t be changed any more');
fault('O7', 'module/request/decide.ts', 'left < maxAge / 2', 'left < maxAge / 2000',
  'rules/decide', 'under renew, sessions live on too late, and active users are signed out');
fault('O8', 'module/request/decide.ts', 'return storeKeepsExpiry && expiresAt === undefined;', 'return false;',
  'rules/decide', 'under renew, no session lives on in a store that does not say when it ends');
fault('O9', 'module/request/StoreKeeper.ts', '() => (stored.isNewId ? !stored.hasChanged() : stored.isFresh())', '() => true',
  'rules/request', 'a response whose body is slow sets the cookie of a session that has ended');
fault('O10', 'module/request/StoreKeeper.ts', "if (at === 'ended') return await this.replaceEnded(data);", '',
  'rules/request', 'a late request brings a session back that has ended');
fault('O11', 'module/request/beforeSave.ts', 'if (ctx.sessionOptions.secure && !ctx.secure && !ctx.headerSent && !config.externalKey) {', 'if (false) {',
  'rules/request', 'a record is written or removed, and then Egg refuses to send its cookie over plain HTTP');
fault('O12', 'module/request/StoreKeeper.ts', 'if (state.data && state.data !== data) state.data.replacesAll = true; // it was assigned meanwhile', '',
  'rules/request', 'data that were assigned while a save() was under way leave the old fields where they are');
fault('O13', 'module/request/state.ts', 'written: true, regenerateFailed: false, leaveAt', 'written: true, regenerateFailed: (state as Saved).regenerateFailed, leaveAt',
  'rules/data', 'after a second regenerate(), which succeeds, nothing is saved any more');
fault('O14', 'module/request/CookieKeeper.ts', 'meta.createdAt = createdAt;', '',
  'rules/request', 'a regenerate() that fails begins the absolute lifetime anew, in the cookie');
fault('O15', 'module/request/StoreKeeper.ts', 'data.dropLoaded(this.loaded, isSignIn);', '',
  'rules/request', 'the data of a session that was signed out come back under a new id');
fault('O16', 'module/request/StoreKeeper.ts', 'if (to === stored.id) {', 'if (false) {',
  'rules/request', 'where genid always makes the same id, regenerate() ends the session');
fault('O17', 'module/request/StoreKeeper.ts', 'const theirs = data.changesOfOthers(left, now);', 'const theirs = { set: {}, unset: [], replace: false };',
  'rules/request', 'what other requests write while a session moves is lost');
fault('O18', 'module/request/StoreKeeper.ts', 'if (hadEnded) ids.undo(ctx);', 'if (false) ids.undo(ctx);',
  'rules/request', 'a late sign-out removes the cookie of the session that the browser has by now');
fault('O19', 'module/request/RequestSession.ts', "this.requireHeaders('session.destroy()', false);", '',
  'rules/request', 'signing out after the response has begun does nothing where the data are in the cookie, and says nothing');
fault('O20', 'module/request/state.ts', 'data.replacesAll = false;', '',
  'rules/data', 'what was assigned while a session ended is written as a change of that one');
fault('O21', 'module/request/StoreKeeper.ts', '    meta.reset();\n    watch.forget();', '',
  'rules/request', 'the next session is as old as the one that has ended, and counts as that one\'s principal\'s');
fault('O22', 'module/cookie/IdTransport.ts', 'keepPrivate(ctx, () => true);', '',
  'rules/session-cookie', 'shared caches keep responses that have an id in a header');
fault('O23', 'module/request/StoreKeeper.ts', 'if (others) throw others.err;', '',
  'rules/request', 'signing out says that it is done, and the session of another cookie goes on');

// ---- U: update(), and the order of operations

fault('U1', 'module/request/RequestSession.ts', 'if (updating.getStore() === this) throw', 'if (false) throw',
  'rules/request', 'an update() inside another one waits for ever, or is lost');
fault('U2', 'module/request/StoreKeeper.ts', "|| session.state.at !== 'saved' || stored.id !== id)", "|| session.state.at !== 'saved')",
  'rules/request', 'what update() has read under the old id is written over the record of the new one');
fault('U3', 'module/request/state.ts', "{ ...state, cookie: 'stale', written: true }", '{ ...state, written: true }',
  'rules/data', 'update() has the record live on and not the cookie, and active users are signed out');
fault('U4', 'module/request/StoreKeeper.ts', 'this.noteSaved(data);', '',
  'rules/request', 'nobody is told of a sign-in by update(), and no warning of session fixation comes');
fault('U5', 'module/request/RequestSession.ts', 'data.updates++;', '',
  'rules/request', 'of two update()s of a session in the cookie, one is lost');
fault('U6', 'module/request/RequestSession.ts', "this.ctx.headerSent || (this.phase === 'done' && this.commitsItself));", 'this.ctx.headerSent);',
  'rules/request', 'an update() after the last commit is lost without a word');
fault('U7', 'module/request/OperationQueue.ts', 'this.last ? this.last.then(operation, operation) : operation()', 'operation()',
  'rules/operation-queue', 'operations of one request overlap');
fault('U8', 'module/request/RequestSession.ts', 'UPDATE_TIMEOUT = 10_000', 'UPDATE_TIMEOUT = 100_000',
  'rules/request', 'an update() that can\'t succeed keeps its request for minutes');

// ---- S: state

fault('S2', 'module/request/RequestSession.ts', "const isFatal = this.env.config.onStoreError === 'fail';", 'const isFatal = false;',
  'rules/request', 'in an outage, everybody looks signed out by default');
fault('S3', 'module/request/RequestSession.ts', 'if (!(err instanceof SessionStoreError)) throw err;', '',
  'rules/request', 'a bug in `valid` counts as an outage, and everybody is anonymous');
fault('S4', 'module/request/state.ts', "data.replacesAll = state.at === 'saved';", 'data.replacesAll = false;',
  'rules/data', 'ctx.session = { … } leaves the old fields where they are');
fault('S5', 'module/request/RequestSession.ts', "return this.state.at === 'saved' || this.state.at === 'ended' ? this.keeper.key : undefined;", "return this.state.at === 'saved' ? this.keeper.key : undefined;",
  'rules/request', 'revokeAll() with exceptCurrent ends the session that asks, when that has just moved');
fault('S6', 'module/request/RequestSession.ts', 'const about = config.logValue ? {', 'const about = true ? {',
  'rules/request', 'events have data and principals under logValue: false');
fault('S7', 'module/request/StoreKeeper.ts', 'device?.withdraw(ctx);\n    ids.undo(ctx);', 'device?.withdraw(ctx);',
  'rules/request', 'the cookie of a session that has ended overwrites the one of the next');
fault('S8', 'module/repository/StoredSession.ts', '< FRESH_MS && !this.hasChanged()', '< FRESH_MS',
  'rules/stored-session', 'a session that has ended half a second ago keeps its cookie');
fault('S11', 'module/request/Lifetime.ts', 'this.keptChoices = then.choices;', 'this.keptChoices = this.choices;',
  'rules/lifetime', 'a maxAge that was set while the session was being saved is forgotten');

// ---- T: records and the index

fault('T1', 'module/repository/StoredSession.ts', '        await this.rollBack(successor, about);\n        throw err;', '        throw err;',
  'rules/stored-session', 'a regenerate() that failed leaves a second record that signs in');
fault('T2', 'module/repository/StoredSession.ts', '(!isAliveIn(store, left) || meta.hasOutlived(left) || meta.isForeign(left))', '!isAliveIn(store, left)',
  'rules/stored-session', 'regenerate() begins the absolute lifetime anew for a session that is over');
fault('T3', 'module/repository/StoredSession.ts', 'if (!unknown && before !== undefined) await removeFromIndex(store, before, from, options);', '',
  'rules/stored-session', 'each regenerate() leaves a dead key in the index');
fault('T4', 'module/repository/StoredSession.ts', 'if (!await write()) return false;', 'await write();',
  'rules/stored-session', 'a write to a session that has ended passes for one that was done');
fault('T5', 'module/repository/StoredSession.ts', 'if (isNoted && (isNew || this.maxAge !== maxAge)) {', 'if (false) {',
  'rules/stored-session', 'who signs out and in at the same time has a session that can\'t be revoked');
fault('T6', 'module/repository/StoredSession.ts', 'if (before !== undefined && before !== _principal) await this.unindex(before).catch(err => logUntold(this.ctx, err));', '',
  'rules/stored-session', 'a session is listed as one of who had it before');
fault('T7', 'module/repository/StoredSession.ts', 'if (isKept(now) && meta.isOf(principal, now)) await store.index(principal, key, indexMs(lifetimeOf(now)), { ctx });', '',
  'rules/stored-session', 'who signs out and in at the same time has a session that can\'t be revoked');
fault('T8', 'module/options/SessionConfig.ts', "if (typeof result === 'string' && result) return result;", "if (typeof result === 'string') return result;",
  'rules/options', 'where genid returns an empty text, all users have one session');
fault('T9', 'module/record/SessionRecord.ts', 'TOMBSTONE_MS = 30_000', 'TOMBSTONE_MS = 30',
  'rules/session-index', 'requests that are a moment late bring back what has ended');
fault('T10', 'module/repository/StoredSession.ts', 'if (_principal !== undefined) await note();', '',
  'rules/stored-session', 'a sign-in whose index fails leaves a session that can\'t be revoked');
fault('T11', 'module/repository/StoredSession.ts', 'const maxAge = chosen ?? this.maxAge!;\n    const data = now.toData();', 'const maxAge = this.maxAge!;\n    const data = now.toData();',
  'rules/stored-session', 'a maxAge that was set before regenerate() is lost');
fault('T12', 'module/repository/RecordMeta.ts', 'return ms + 2 * Math.min(', 'return ms + 0 * Math.min(',
  'rules/record-meta', 'the index forgets sessions that live on, and nobody can revoke them');
fault('T13', 'module/repository/RecordMeta.ts', '(kept._seenAt ?? 0)) >= MINUTE)', '(kept._seenAt ?? 0)) >= 60 * MINUTE)',
  'rules/record-meta', 'lastSeenAt is up to an hour old');
fault('T14', 'module/repository/RecordMeta.ts', 'if (principal === undefined || !this.isIndexed) return about;', 'if (principal === undefined) return about;',
  'rules/record-meta', 'addresses and user agents are kept where nothing lists them, also in cookies');
fault('T15', 'module/repository/RecordMeta.ts', 'String(ip).slice(0, MAX_IP)', 'String(ip)',
  'rules/record-meta', 'a client fills the store with a header');
fault('T16', 'module/repository/RecordMeta.ts', "if (typeof kept._createdAt !== 'number' && this.config.absoluteMaxAge) return true;", '',
  'rules/record-meta', 'sessions from before absoluteMaxAge was set never end');
fault('T17', 'module/repository/RecordMeta.ts', 'this.principal = undefined; // signing out must be possible with it', "throw new Error('no principal');",
  'rules/record-meta', 'a user whose data give no principal can\'t even sign out');
fault('T18', 'module/repository/RecordMeta.ts', 'return ms + 2 * Math.min(', 'return ms + Math.min(',
  'rules/record-meta', 'the index forgets sessions that live on while it can\'t be written for a moment');
fault('T19', 'module/repository/RecordMeta.ts', 'this.storedAt = (record as MetaFields)._storedAt;', '',
  'rules/record-meta', 'where clocks differ, renew has sessions live on beyond absoluteMaxAge, or not up to it');
fault('T20', 'module/repository/StoredSession.ts', 'if (isGone && _principal !== undefined) await removeFromIndex(this.store, _principal, key, options);', '',
  'rules/stored-session', 'each regenerate() that fails leaves a dead key in the index');

// ---- G: the registry

fault('G1', 'module/access/SessionRegistry.ts', 'return session?.principal === String(principal) && await', 'return session !== undefined && await',
  'app/registry', 'a user can end the sessions of another one');
fault('G2', 'module/access/SessionRegistry.ts', 'if (exceptCurrent) own.requireAvailable();', '',
  'app/registry', 'in an outage, revokeAll() with exceptCurrent ends the session that asks');
fault('G3', 'module/access/SessionRegistry.ts', 'if (this.key !== undefined) await this.index.follow(this.key, seen);', '',
  'app/revoke-and-regenerate app/registry', 'revokeAll() with exceptCurrent ends the session that asks, when another request has just moved it');
fault('G4', 'module/access/SessionRegistry.ts', 'await this.request?.ask();', '',
  'app/load-elsewhere app/registry', 'under load: \'injected\', revokeAll() with exceptCurrent ends the session that asks');
fault('G5', 'module/repository/SessionIndex.ts', 'all.sort((a, b) => b.seenAt - a.seenAt ||', 'all.sort((a, b) => a.seenAt - b.seenAt ||',
  'rules/session-index', 'maxSessions ends the session that has just signed in');
fault('G6', 'module/repository/SessionIndex.ts', 'if (session?.principal !== principal || known.has(session.key)) return;', 'if (session === undefined || known.has(session.key)) return;',
  'rules/session-index', 'list() and revokeAll() reach the sessions of others');
fault('G7', 'module/access/SessionRegistry.ts', '...live.filter(({ isOver, record }) => !isOver && !hasOutlived(record, config))', '...live',
  'app/registry world/clocks app/absolute-end', 'sessions that are over are listed');
fault('G8', 'module/repository/SessionIndex.ts', 'next = isTombstone(left) ? left._successor : null;', 'next = null;',
  'rules/session-index', 'who signs out while the session moves stays signed in');
fault('G9', 'module/repository/SessionIndex.ts', '...logValue ? { value: dataOf(ended), principal: ended._principal } : {},', 'value: dataOf(ended), principal: ended._principal,',
  'rules/session-index', 'events have the data of revoked sessions under logValue: false');
fault('G10', 'module/access/SessionRegistry.ts', "(keys.has(key) ? own.end() : index.end(key, 'revoked'))", "index.end(key, 'revoked')",
  'app/registry', 'who revokes the own session keeps its cookie');
fault('G11', 'module/access/SessionRegistry.ts', 'if (!isKey(id)) return false;', '',
  'app/registry', 'an id that is none fails, where a user may send any');

// ---- F: options

fault('F1', 'module/options/SessionConfig.ts', 'randomBytes(18)', 'randomBytes(3)',
  'rules/options', 'ids can be guessed');
fault('F2', 'module/options/SessionConfig.ts', "...(cookies.sameSite === undefined ? { sameSite: 'lax' as const } : {}),", '',
  'rules/options', 'other sites can have the cookie sent by default');
fault('F3', 'module/options/SessionConfig.ts', '    httpOnly: true,\n', '    httpOnly: false,\n',
  'rules/options', 'scripts can read the cookie by default');
fault('F4', 'module/options/SessionConfig.ts', '/^__(host|secure)-/i', '/^__(Host|Secure)-/',
  'rules/options', 'a prefix in small letters is not held to its rules, and browsers refuse the cookie');
fault('F5', 'module/options/SessionConfig.ts', "if ('maxSessions' in given && !('principal' in given)) {", 'if (false) {',
  'rules/options', 'maxSessions without a principal does nothing, and says nothing');
fault('F6', 'module/options/SessionConfig.ts', "if (typeof given === 'string') return given.split(',').some(key => key.trim());", "if (typeof given === 'string') return keys !== undefined;",
  'rules/options', 'cookies are sealed with an empty key, which everybody knows');
fault('F7', 'module/options/SessionConfig.ts', "onStoreError: 'fail' as const,", "onStoreError: 'anonymous' as const,",
  'rules/options', 'in an outage, everybody looks signed out by default');
fault('F8', 'module/options/rules.ts', "(typeof value === 'number' && Math.round(value) > 0 &&", "(typeof value === 'number' && value > 0 &&",
  'rules/options', 'a maxAge under half a millisecond is none, and all sessions end at once');
fault('F9', 'module/options/SessionConfig.ts', 'storeTimeout: 2000,', 'storeTimeout: 20_000,',
  'rules/options', 'a store that hangs keeps each request for 20 s by default');

// ---- V: the review at boot

fault('V1', 'module/hints/review.ts', 'GENERATED_KEY.test(key) ||', '',
  'app/review', 'the keys of templates, which can be guessed, pass the review');
fault('V2', 'module/hints/review.ts', 'if (!hasCookie && OF_COOKIE.includes(risk)) continue;', '',
  'app/review app/external-key', 'warnings come about a cookie that nobody gets');
fault('V3', 'module/hints/review.ts', 'memoryStore: app => (optionsOf(app).workers ?? 1) > 1,', '',
  'app/review', 'nobody is told that each worker has sessions of its own');
fault('V4', 'module/hints/review.ts', '!config.acceptedRisks?.includes(risk) && check(config, app)', '!config.acceptedRisks && check(config, app)',
  'app/review', 'who accepts one risk is told of none');
fault('V5', 'module/hints/review.ts', 'new Set(key).size < 8 ||', '',
  'app/review', 'a key of one letter passes the review');

// ---- B: when a store counts as down

fault('B1', 'module/store/CircuitBreaker.ts', 'this.pausedUntil = now + PAUSE;\n      this.probing = false;', 'this.pausedUntil = now + PAUSE;',
  'rules/breaker', 'after a probe that fails, the store is never asked again');
fault('B2', 'module/store/CircuitBreaker.ts', '    this.failures = 0;\n', '',
  'rules/breaker', 'five failures in a day answer 503 to everybody');
fault('B3', 'module/store/CircuitBreaker.ts', 'if (!isProbe) return;', '',
  'rules/breaker', 'calls that come to their end late prolong an outage');
fault('B4', 'module/store/CircuitBreaker.ts', 'this.failures >= FAILURES && now - this.lastSuccess >= this.patience', 'this.failures >= FAILURES',
  'rules/breaker', 'five failures at a time answer 503 to everybody');
fault('B5', 'module/store/CircuitBreaker.ts', 'export const PAUSE = 1000;', 'export const PAUSE = 60_000;',
  'rules/breaker', 'a store that is back is left alone for a minute');
fault('B7', 'module/store/CircuitBreaker.ts', 'if (this.outage && now - this.outage.lastFailure > QUIET) {', 'if (this.outage) {',
  'rules/breaker', 'a store that fails now and then fills the log');
fault('B6', 'module/store/StoreHealth.ts', "if (circuit === this.writes || operation === 'getAndTouch') {", 'if (circuit === this.writes) {',
  'rules/breaker', 'a store that takes writes again is not renewed on read until somebody writes');

// ---- K: what a call of the store goes through

fault('K1', 'module/store/GuardedStore.ts', 'this.isIndexed = store.isIndexed && hashesIds;', 'this.isIndexed = store.isIndexed;',
  'rules/guarded-store', 'the registry shows ids that sign in');
fault('K2', 'module/store/GuardedStore.ts', 'if (!keys) return id;', 'return id;',
  'rules/guarded-store', 'the store has ids that sign in');
fault('K3', 'module/store/GuardedStore.ts', 'yield value.filter(isKey);', 'yield value;',
  'rules/guarded-store', 'clear() removes keys of the application that are no sessions');
fault('K4', 'module/store/GuardedStore.ts', "(message || name).replace(/,? with args beginning with:.*/s, ''))", 'message)',
  'rules/guarded-store', 'an error of Redis brings the data of a session into the log');
fault('K5', 'module/store/GuardedStore.ts', 'return hasLifetime(changes.set) ? this.ticking(key, written) : written;', 'return written;',
  'rules/guarded-store', 'a cookie lives for another time than its session, which another request has given a lifetime');
fault('K6', 'module/store/GuardedStore.ts', 'if (id.length <= LONGEST_ID) keys.set(id, key);', 'keys.set(id, key);',
  'rules/guarded-store', 'a client fills the memory with long ids');
fault('K7', 'module/store/GuardedStore.ts', "return failure === 'server' && written && JSON.stringify(written).length >= LARGE ? 'call' : failure;", 'return failure;',
  'rules/guarded-store', 'one visitor with a large session has the store count as down for everybody');
fault('K8', 'module/store/GuardedStore.ts', 'const failure = failureIn(err, keys, written);', 'const failure = failureIn(err, [], written);',
  'app/one-visitor', 'a visitor whose id the store quotes has it count as down for everybody');
fault('K9', 'module/store/failureOf.ts', '.slice(0, MOST).replace(', '.replace(',
  'rules/failures', 'a visitor whose words the store quotes holds up the process for seconds');

// ---- N: what makes up for methods that a store lacks

fault('N1', 'module/store/StoreAdapter.ts', 'this.isAtomic = Boolean(merge && compareAndSet && retire);', 'this.isAtomic = Boolean(merge);',
  'rules/store-adapter', 'updates are lost in a store that has only one of the methods');
fault('N2', 'module/store/StoreAdapter.ts', 'if (!isAliveIn(this, latest) || isLate()) return false;', 'if (!isAliveIn(this, latest)) return false;',
  'rules/store-adapter', 'a write that was given up takes effect later, over what is newer');
fault('N3', 'module/store/StoreAdapter.ts', 'ms + GRACE, options);', 'ms + GRACE / 1000, options);',
  'rules/store-adapter', 'a store drops sessions sooner than under egg-session');
fault('N4', 'module/store/StoreAdapter.ts', "const isUnasked = successor === null && !this.isIndexed && options.ctx.app.listenerCount('session:destroyed') === 0;", 'const isUnasked = successor === null && !this.isIndexed;',
  'rules/store-adapter', 'nobody is told of the sessions that end in a store of three methods');
fault('N5', 'module/store/StoreAdapter.ts', 'JSON.stringify({ ...record, _expire: undefined });', 'JSON.stringify(record);',
  'rules/store-adapter', 'update() runs again, or fails, as another request has let the session live on');
fault('N6', 'module/store/KeyedMutex.ts', 'if (late) throw tooLate(); // nobody waits for it any more', '',
  'rules/keyed-mutex', 'a write that was given up is done later, over what is newer');

// ---- D: the stores that ship, and deadlines

fault('D2', 'module/store/redisLayout.ts', "elseif now + ms > tonumber(redis.call('ZSCORE', key, session) or 0) then redis.call", 'else redis.call',
  'app/stores', 'a session drops out of its index early, and can\'t be revoked');
fault('D3', 'module/store/redisLayout.ts', 'if left >= 0 then ms = math.max(left, 1) end', '',
  'app/redis-layout app/stores', 'a session lives on as it is noted that it was seen');
fault('D4', 'module/store/RedisSessionStore.ts', "${start.replace(/[*?[\\]\\\\]/g, '\\\\$&')}*", '${start}*',
  'rules/drivers', 'clear() of an application with a * in its prefix ends the sessions of others');
fault('D5', 'module/store/RedisSessionStore.ts', "const start = (redis.options?.keyPrefix ?? '') + prefix;", 'const start = prefix;',
  'rules/drivers', 'clear() finds nothing where the client has a keyPrefix');
fault('D12', 'module/store/nodeRedis.ts', "this.options = { keyPrefix: textIn(client._keyPrefix) ?? '' };", 'this.options = {};',
  'world/redis-clients', 'clear() finds nothing where node-redis has a keyPrefix');
fault('D13', 'module/store/redisSettings.ts', "if (scaleReads !== 'master') return 'scaleReads';", '',
  'app/wrong-client', 'who has signed out is signed in again where a replica lags behind');
fault('D14', 'module/store/redisRights.ts', 'if (silence === undefined) await checkPipelines(name, redis, `${prefix}boot`, ms);', '',
  'app/wrong-client', 'requests at the same moment fail on a Cluster of iovalkey with automatic pipelines');
fault('D6', 'module/store/RedisSessionStore.ts', "return redis.nodes('master');", "return redis.nodes('master').slice(0, 1);",
  'rules/drivers', 'clear() on a Cluster ends a part of the sessions');
fault('D7', 'module/store/RedisSessionStore.ts', "if (!err.message.startsWith('NOSCRIPT')) throw err;", '',
  'rules/drivers', 'a write that has failed is sent again');
fault('D8', 'module/store/KeyvSessionStore.ts', "if ('throwOnErrors' in each) each.throwOnErrors = true;", '',
  'rules/drivers', 'an outage passes for sessions that are not there, and signs everybody out');
fault('D9', 'module/store/KeyvSessionStore.ts', 'if (ttl >= THIRTY_DAYS && !this.keepsLong) await this.proveKept(key, ttl);', '',
  'rules/drivers', 'memcached keeps no session of 30 days, nobody can sign in, and nothing says why');
fault('D10', 'module/store/MemorySessionStore.ts', 'if (this.readAlive(key)?._rev !== _rev) return false;', 'if (!this.readAlive(key)) return false;',
  'rules/session-index', 'updates are lost');
fault('D11', 'module/store/Deadlines.ts', 'setImmediate(() => this.check(now));', 'this.check(now);',
  'rules/deadlines', 'a busy process takes answers for late ones that have come in time, and answers 503');

// ---- E: events

fault('E1', 'module/record/events.ts', 'setImmediate(() => {', '(now => now())(() => {',
  'rules/events', 'a listener runs in the middle of a sign-in, and sees it half done');
fault('E2', 'module/request/StoreKeeper.ts', "if (state.at !== 'saved') session.tell('session:created', {}, () => saved.toData());", "session.tell('session:created', {}, () => saved.toData());",
  'rules/request', 'each save counts as a new session');

// ---- J: tegg, Egg, and the data

fault('J1', 'module/access/tegg.ts', 'if (seen.has(proto)) return false;', '',
  'rules/injected', 'advice that leads back to its object answers 500 to each request');
fault('J2', 'module/access/tegg.ts', "if (found || method !== 'HEAD') return found;", 'return found;',
  'rules/injected', 'under load: \'injected\', a HEAD request has no session');
fault('J3', 'module/access/injectSession.ts', "if (request?.phase === 'done' && request.commitsItself) throw coded('ERR_SESSION_REQUEST_OVER', new Error(LOST));", '',
  'app/request-is-over app/after-response', 'a change after the last commit is lost without a word');
fault('J4', 'module/access/injectSession.ts', "if (request.phase === 'done' && isOver(ctx)) throw coded('ERR_SESSION_REQUEST_OVER', new Error(OVER));", '',
  'app/request-is-over', 'a timer goes on with a session that may have ended');
fault('J5', 'app.ts', 'lifecycle.registerBeforeClose(() => environmentOf(app).running.settled());', '',
  'world/shutdown', 'a deploy loses what running requests were about to save');
fault('J6', 'module/request/RunningRequests.ts', 'if ([ ...this.requests.keys() ].every(isLasting)) resolve();', 'if (this.requests.size < 2) resolve();',
  'rules/running-requests', 'a deploy loses what the last running request was about to save');
fault('J7', 'app.ts', 'if (err || !this.loaded) {', 'if (!this.loaded) {',
  'app/two-applications', 'an application that could not start is taken for the current one');
fault('J8', 'app/middleware/session.ts', "if (mockable && Object.hasOwn(Object.getOwnPropertyDescriptor(app.context, 'session')!, 'value')) completeMock(ctx.session);", '',
  'app/mock-session', 'in applications\' tests, a session of mockSession() has no save()');
fault('J9', 'module/record/ChangeTracker.ts', 'if (!changed.has(name)) this.session[name] = this.given[name] = value;', 'this.session[name] = this.given[name] = value;',
  'rules/data', 'update() overwrites what the request has set while it ran');
fault('J10', 'module/record/SessionRecord.ts', 'if (isField(name)) data[name] = record[name];', 'data[name] = record[name];',
  'rules/data', 'a record can have a field that takes the place of save(), or of the prototype');
fault('J11', 'module/record/Snapshot.ts', 'return Number.isFinite(value) ? value + 0 : null;', 'return value;',
  'rules/data', 'a session that holds NaN, or -0, is written by each request');
fault('J12', 'module/request/RunningRequests.ts', 'if (request.commitsItself) await request.commit()', 'await request.commit()',
  'rules/running-requests', 'under autoCommit: false, a deploy saves what was never committed');
fault('J13', 'module/record/Snapshot.ts', '`"${name}"` : JSON.stringify(name)', '`"${name}"` : `"${name}"`',
  'rules/data', 'whoever chooses the name of a field writes any field of the session in the cookie');
fault('J14', 'module/request/RequestSession.ts', 'this.options = { ...env.options };', 'this.options = env.options;',
  'app/egg-session-data', 'the lifetime that one request chooses is that of all sessions');
fault('J15', 'module/access/ContextSession.ts', 'for (const { prototype } of [ Base, Session ]) Object.preventExtensions(prototype);', '',
  'app/bad-input', 'a visitor who chooses two names of fields signs everybody in');
fault('J16', 'module/access/ContextSession.ts', "assertName('__proto__', isField);", '',
  'app/bad-input', 'a field that a visitor has named __proto__ is lost, and nobody is told');
fault('J17', 'module/access/SessionLogger.ts', 'text && text.length > LONGEST ?', 'text && text.length < 0 ?',
  'app/logger', 'a client fills the log with a large session that is refused');
fault('J18', 'module/store/MemorySessionStore.ts', 'if (isKept(record)) this.records.delete(key);', '',
  'app/asvs app/cookie-places', 'the cookie of a session that has expired by the clock of the process stays in the browser');

// ---- W: what has ended or was refused, and outcomes that are unknown

fault('W1', 'module/request/StoreKeeper.ts', 'if (refused) await this.endRefused(refused, reason);', '',
  'app/refused-sessions', 'signing out leaves a session that `valid` refuses signed in');
fault('W2', 'module/request/StoreKeeper.ts', "if (state.at === 'new' && state.refused && !unproven) await this.endRefused(state.refused, 'logout');", '',
  'app/refused-sessions', 'a sign-in leaves the old id alive when its session was refused');
fault('W3', 'module/request/StoreKeeper.ts', "else if (why === 'expired') session.tell('session:expired',", "else if (why === 'invalid') session.tell('session:expired',",
  'app/refused-sessions', 'nobody is told of an expired session that was signed out');
fault('W4', 'module/request/StoreKeeper.ts', 'if (watch.principal !== undefined && hasWritten && !session.signsIn(assigned)) {', 'if (watch.principal === null) {',
  'app/sessions-that-end', 'a revoked session comes back by regenerate()');
fault('W5', 'module/request/StoreKeeper.ts', 'data.hasReassigned || Object.keys(assigned).length > 0;', 'Object.keys(assigned).length > 0;',
  'app/sessions-that-end', 'a sign-in of the same user is lost without a word');
fault('W6', 'module/request/RequestSession.ts', '    this.requireOther(data);\n', '',
  'app/sessions-that-end', 'a revoked session comes back by what was read before regenerate()');
fault('W7', 'module/request/state.ts', 'data === ended || !data.wereAssigned', 'data === ended',
  'app/sessions-that-end', 'the first use beside revokeAll() begins the session anew');
fault('W8', 'module/request/StoreKeeper.ts', "if (session.state.at === 'destroyed') lifetime.forget();", '',
  'app/sessions-that-end', 'who signs in after somebody else stays signed in for as long as that one had chosen');
fault('W9', 'module/request/StoreKeeper.ts', '    session.lifetime.forget();\n', '',
  'app/sessions-that-end', 'a sign-in after a revocation has the lifetime of the session that was revoked');
fault('W10', 'module/request/RequestSession.ts', "...'key' in more ? {} : { key: keeper.name }", '...{ key: keeper.name }',
  'app/sessions-that-end', 'each sign-out that is listened to makes an id');
fault('W11', 'module/request/StoreKeeper.ts', 'this.afterWrite(data, now, chosen, leaveAt, previousKey);', 'this.afterWrite(data, now, chosen, leaveAt);',
  'app/sessions-that-end', 'who keeps a list of sessions by key drops one that lives');
fault('W12', 'module/request/StoreKeeper.ts', 'const leaveAt = performance.now() +', 'const leaveAt = ctx.sessionOptions.rolling ? performance.now() : 0 *',
  'world/new-id-wins', 'an older response takes the new id from the browser');
fault('W31', 'module/request/StoreKeeper.ts', 'Math.min(Math.max(HEAD_START, 10 * tookMs), LONGEST_HEAD_START)', 'Math.max(HEAD_START, 10 * tookMs)',
  'rules/request', 'with a slow store, signing in takes ten times as long');
fault('W13', 'module/request/decide.ts', "if (cookie === 'expired' && facts.sinceLoaded < REMOVAL_MS)", "if (cookie === 'expired')",
  'rules/decide', 'a slow response removes the cookie of a new sign-in');
fault('W14', 'module/repository/StoredSession.ts', "if (became === 'ended elsewhere') return undefined;", '',
  'app/unknown-outcomes', 'a revoked session comes back when Redis is slow');
fault('W15', 'module/repository/StoredSession.ts', "if (became === 'unknown') onceItAnswers(", "if (became === 'moved') onceItAnswers(",
  'app/unknown-outcomes', 'after an outage the old id goes on beside the new one');
fault('W16', 'module/repository/StoredSession.ts', 'if (mayBeListed) onceItAnswers(', 'if (!mayBeListed) onceItAnswers(',
  'app/unknown-outcomes', 'sign-ins that failed count as devices, and sign real ones out');
fault('W17', 'module/repository/StoredSession.ts', "return err.isOfServer ? 'unknown' : 'untouched';", "return 'unknown';",
  'app/unknown-outcomes', 'a call that has failed for one session leaves two ids alive');
fault('W18', 'module/repository/StoredSession.ts', 'await note(this.maxAge!).catch(err => logUntold(this.ctx, err));', 'await note(this.maxAge!);',
  'app/unknown-outcomes', 'a sign-in that took effect is answered with 503');
fault('W19', 'module/store/GuardedStore.ts', '!isRefusal(err));', "failure === 'server');",
  'app/unknown-outcomes', 'an unclear error at the end of the old id loses both');
fault('W20', 'module/repository/SessionIndex.ts', 'await store.index(principal, key, indexMs(lifetimeOf(record)), options);', '',
  'world/index-loss', 'a session that is written during a list() can\'t be revoked for a minute');
fault('W21', 'module/store/failureOf.ts', '.slice(0, MOST).replace(QUOTED, \'\')', '.slice(0, MOST)',
  'rules/failures', 'what one visitor sends opens the breaker for all');
fault('W22', 'module/store/failureOf.ts', "if (found !== 'call' || isReply(each)) return found;", "if (found !== 'call') return found;",
  'rules/failures', 'a principal with the right name opens the breaker for all');
fault('W23', 'module/repository/RecordMeta.ts', 'if (!isUnchanged?.()) throw err;', 'throw err;',
  'app/principal', 'under rolling, a page that only reads fails when the principal can\'t be told');
fault('W24', 'module/cookie/LegacyCookie.ts', "if (maxAge === 'session') return { ...dataOf(record), _session: true };", "if (maxAge === 'session') return record;",
  'app/legacy-cookie', 'a forged old cookie chooses its lifetime');
fault('W25', 'module/application/activeStore.ts', 'if (announced.has(app) && configOf(app).maxSessions !== undefined && !isTegg) {', 'if (!app) {',
  'app/max-sessions', 'a store that is set later counts no sessions, without a word');
fault('W26', 'module/request/RequestSession.ts', 'err instanceof SessionStoreError || err instanceof TooLargeError', 'err instanceof SessionStoreError',
  'app/too-large', 'a page that only reads fails when the session has grown too large');
fault('W27', 'module/record/ChangeTracker.ts', '    assertFieldCount(now.size);\n', '',
  'app/too-large', 'a session of a hundred thousand fields holds Redis up for all');
fault('W28', 'module/store/StoreAdapter.ts', '    this.requireFit(record);\n    if (this.keepsExpiry)', '    if (this.keepsExpiry)',
  'app/too-large', 'memcached drops a session for a note of when it was seen');
fault('W29', 'module/store/RedisSessionStore.ts', "if (redis.nodes('master').length === 0) await redis.get(this.prefix);", '',
  'app/registry', 'clear() resolves to 0 while the Cluster is away');
fault('W30', 'module/repository/StoredSession.ts', 'if (!isAliveIn(store, record)) return true;', 'if (!isAliveIn(store, record)) this.noteAnswer(tick);\n      if (!isKept(record)) return true;',
  'app/principal', 'the old id is sent after another process has moved the session');

// ---- Y: requests that are under way while a session becomes another device's

fault('Y1', 'module/repository/RecordMeta.ts', 'if (this.device) return record._device?.id !== this.device.id;', 'if (this.device) return false;',
  'app/device', 'a request of who planted the session moves it, signed in by its victim, to an id of his own');
fault('Y2', 'module/repository/RecordMeta.ts', 'return isBound(record) && this.principalIn(record) !== this.principal;', 'return false;',
  'app/device', 'a request from before the sign-in reads what is bound to a device, without a proof');
fault('Y3', 'module/repository/RecordMeta.ts', 'return this.device !== undefined && this.device.id === this.proven;', 'return this.device !== undefined;',
  'app/device', 'session.deviceBound is true in a request that has no proof');
fault('Y4', 'module/request/StoreKeeper.ts', 'return device && (record => !device.refusalOf(ctx, record));', 'return undefined;',
  'app/device', 'who has stolen an old id signs the owner out');
fault('Y5', 'module/request/StoreKeeper.ts', ' && principal === meta.principalIn(data)', '',
  'app/device', 'who has planted the session may bind it, once its victim has signed in');
fault('Y6', 'module/repository/StoredSession.ts', '(replace && this.meta.mayBeBound)', 'false',
  'app/device', 'the data of one user are written into a session that is bound to the device of another');
fault('Y7', 'module/device/challenges.ts', '`${id} ${proofs}`', 'String(proofs)',
  'app/device', 'a proof of an earlier binding counts once more');
fault('Y8', 'module/repository/StoredSession.ts', '(this.meta.device && !this.meta.isProven)', 'false',
  'app/device', 'somebody else who signs in takes over what is bound to a device, without a proof');

// ---- Z: databases

fault('Z1', 'module/database/rows.ts', 'if (row.data === null) return { _successor: row.successor === null ? null : unescaped(row.successor) } satisfies Tombstone;',
  'if (row.data === null) return undefined;', 'rules/database', 'a request whose session moves meanwhile begins another one, and signs the user out');
fault('Z2', 'module/database/SqlSessionStore.ts', "else if (kind === 'again' && !await", "else if (kind === 'exists' && !await",
  'rules/database', 'a deadlock, which is nobody\'s fault, is answered with 503');
fault('Z3', 'module/database/postgres.ts', 'const record = `${alive} AND data IS NOT NULL`;', 'const record = alive;',
  'app/databases', 'a request that is late brings back a session that has ended');
fault('Z4', 'module/database/mysql.ts', 'retire: `${retired} AND rev = CAST(:expected AS SIGNED)`', 'retire: `${retired} AND :expected > 0`',
  'app/databases', 'what is written while a session moves is lost');
fault('Z5', 'module/database/sweep.ts', 'if (running) return;', '', 'rules/database', 'a slow database gets more and more to delete at once');
fault('Z6', 'module/database/rows.ts', '`"sha256-${', '`sha256-${', 'rules/database', 'somebody with the right name is another principal');
fault('Z7', 'module/database/checkDatabase.ts', "if (kind === 'missing') {", "if (kind === 'exists') {",
  'app/database-boot', 'an application without tables starts, and answers every request with 503');
fault('Z8', 'module/database/SqlSessionStore.ts', 'if (record._createdAt === _createdAt) values.age = null;', '',
  'app/databases', 'a worker whose clock is behind lets sessions live beyond absoluteMaxAge');
fault('Z9', 'module/database/postgres.ts', 'WHERE t.expires_at <= ${NOW} OR t.expires_at > EXCLUDED.expires_at + :ms::bigint RETURNING', 'RETURNING',
  'app/databases', 'all workers delete expired rows at once');
fault('Z10', 'module/database/mysql.ts', 'expires_at FROM ${sessions} WHERE expires_at >= CAST(:from AS SIGNED) AND expires_at <= ${NOW} ORDER',
  'expires_at FROM ${sessions} WHERE expires_at >= CAST(:from AS SIGNED) ORDER', 'app/databases', 'the removal of expired rows reads all that are alive, for ever');
fault('Z11', 'module/database/SqlSessionStore.ts', 'renew: renew === false ? 0 : 1', 'renew: 1', 'app/database-clients', 'under renew: false, a session that is written lives on');
fault('Z12', 'module/database/mysql.ts', 'return removed === 0 ? merged : `JSON_REMOVE(', 'return removed === 0 ? merged : `COALESCE(',
  'app/databases', 'a field that a request deletes stays');
fault('Z13', 'module/database/mysql.ts', ', ` AND ${fits}`', '',
  'world/database-faults', 'a session of MariaDB that grows too large is lost');
fault('Z14', 'module/database/postgres.ts', 'if (!UNPREPARED.has(err.code)) throw err;', 'throw err;',
  'world/database-faults', 'behind PgBouncer, requests fail');
fault('Z15', 'module/database/postgres.ts', '::numeric * 1000::numeric', ' * 1000', 'app/databases', 'who may create an operator in PostgreSQL reads the sessions by it');
fault('Z16', 'module/database/mysql.ts', 'return one === other;', 'return false;', 'rules/database', 'a deadlock loses what a transaction has done, and nobody is told');
fault('Z17', 'module/database/postgres.ts', ')) AND expires_at <= ${NOW} RETURNING', ')) RETURNING', 'app/databases', 'the removal of expired rows from a table with partitions deletes sessions in use');
