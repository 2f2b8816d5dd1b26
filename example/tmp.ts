import os from 'node:os';
import path from 'node:path';

/** Where Egg and tegg put what they write while they run. */
export const tmp = path.join(os.tmpdir(), `egg-tegg-session-example-${process.getuid?.() ?? 'user'}`);
