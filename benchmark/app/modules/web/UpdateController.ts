import { load, ours, settings } from '../../settings';

/** Only where it is measured. */
export const UpdateController = ours && settings.database ? load('./controllers').UpdateController : undefined;
