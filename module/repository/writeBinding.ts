import type { Context } from 'egg';
import type { SessionConfig } from '../options/SessionConfig';
import type { DeviceBinding } from '../record/DeviceBinding';
import { lifetimeOf } from '../record/SessionRecord';
import type { Store } from '../store/GuardedStore';
import { indexMs, limiting, type MetaFields } from './RecordMeta';

/** A record as it was read, and where. */
export interface AsRead {
  readonly store: Store;
  readonly key: string;
  readonly record: MetaFields;
}

/**
 * Writes the device that a session is bound to, if its record is still as it was read. It lives on by that, as by any write, so the index has it for as
 * long.
 *
 * @return false, and nothing written, when it has changed, moved or ended meanwhile
 */
export async function writeBinding({ store, key, record }: AsRead, binding: DeviceBinding, config: SessionConfig, ctx: Context): Promise<boolean> {
  const maxAge = lifetimeOf(record);
  const options = limiting({ ctx, changed: true }, config);
  if (store.isIndexed && record._principal !== undefined) await store.index(record._principal, key, indexMs(maxAge), options);
  return await store.compareAndSet(key, record, { ...record, _device: binding }, maxAge, options);
}
