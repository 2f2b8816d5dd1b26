import type { Application } from 'egg';
import type { Hints } from '../request/environment';
import { warnOfLostChange } from './early';
import { warnOfDropped, warnOfLostTypes, warnOfNoFields, warnOfNoRecord } from './jsonTypes';
import { warnOfLifetime } from './lifetime';
import { warnOfFixation } from './review';

/** What requests of an application are watched for; the other hints are given when it starts. */
export const hintsFor = (app: Application): Hints => ({
  assigned: data => {
    warnOfNoFields(app, data);
    warnOfDropped(app, data);
  },
  saving: data => warnOfLostTypes(app, data),
  unchanged: app.config.env === 'prod' ? undefined : data => warnOfDropped(app, data),
  usedTooEarly: app.config.env === 'prod' ? undefined : (ctx, data) => warnOfLostChange(app, ctx, data),
  notARecord: value => warnOfNoRecord(app, value),
  signedInWithOldId: () => warnOfFixation(app),
  lifetime: (what, value) => warnOfLifetime(app, what, value),
});
