import { load, ours, settings } from '../../settings';

const { sessions, kept } = settings;
const name = `${sessions === 'three-method' ? 'ThreeMethods' : sessions === 'keyv' ? 'Keyv' : ''}In${kept[0].toUpperCase()}${kept.slice(1)}`;

/** The class of the store that this server keeps its sessions in, if any. */
export const AppSessionStore = ours && kept !== 'cookie' ? load(settings.database ? './databaseStores' : './ourStores')[name] : undefined;
