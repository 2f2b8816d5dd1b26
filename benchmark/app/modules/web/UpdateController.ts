import { load, ours, settings } from '../../settings';

/** Only where it is measured. */
export const UpdateController = ours && settings.update ? load('./controllers').UpdateController : undefined;
