import { strict as assert } from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';

const ROOT = path.join(__dirname, '../..');

/** What each room may import. A room that is further down is never imported by one above it. */
const ARROWS: Record<string, readonly string[]> = {
  record: [],
  store: [ 'record' ],
  database: [ 'store', 'record' ],
  options: [ 'store', 'record' ],
  cookie: [ 'options', 'record' ],
  repository: [ 'options', 'store', 'record' ],
  device: [ 'repository', 'cookie', 'options', 'store', 'record' ],
  request: [ 'device', 'repository', 'cookie', 'options', 'store', 'record' ],
  application: [ 'options', 'store', 'record' ],
  access: [ 'application', 'request', 'repository', 'cookie', 'options', 'store', 'record' ],
  hints: [ 'application', 'request', 'repository', 'cookie', 'options', 'store', 'record' ],
};

/** Who may know the hints. */
const WIRING = [ 'app.ts', 'app/middleware/session.ts' ];

function filesIn(dir: string): string[] {
  return fs.readdirSync(path.join(ROOT, dir), { withFileTypes: true }).flatMap(entry => {
    const name = `${dir}/${entry.name}`;
    if (entry.isDirectory()) return /node_modules|^benchmark\/(build|peers)/.test(name) ? [] : filesIn(name);
    return /(?<!\.d)\.ts$/.test(name) ? [ name ] : [];
  });
}

/** The files of ours that a file imports, types too. */
function importsOf(file: string): string[] {
  const text = fs.readFileSync(path.join(ROOT, file), 'utf8');
  return [ ...text.matchAll(/(?:from|import\(|require\() ?'(\.[^']*)'|^import '(\.[^']*)'/gm) ]
    .map(([ , from, bare ]) => `${path.posix.join(path.dirname(file), from ?? bare)}.ts`)
    .filter(target => fs.existsSync(path.join(ROOT, target)));
}

const roomOf = (file: string) => /^module\/(\w+)\//.exec(file)?.[1];

const SOURCE = [ 'index.ts', 'app.ts', 'agent.ts', ...[ 'app', 'config', 'module', 'testing' ].flatMap(filesIn) ];

describe('the rooms of module/', () => {
  it('are those of the table, each with a README that names its files', () => {
    assert.deepEqual(fs.readdirSync(path.join(ROOT, 'module')).sort(), [ ...Object.keys(ARROWS), 'package.json' ].sort());
    for (const room of Object.keys(ARROWS)) {
      const readme = fs.readFileSync(path.join(ROOT, 'module', room, 'README.md'), 'utf8');
      const files = fs.readdirSync(path.join(ROOT, 'module', room)).filter(name => /(?<!\.d)\.ts$/.test(name));
      assert.deepEqual([ ...readme.matchAll(/`(\w+\.ts)`/g) ].map(([ , name ]) => name).sort(), files.sort(), room);
    }
  });

  for (const [ room, allowed ] of Object.entries(ARROWS)) {
    it(`${room} imports ${allowed.join(', ') || 'none'}`, () => {
      const unused = new Set(allowed);
      for (const file of filesIn(`module/${room}`)) {
        for (const target of importsOf(file)) {
          assert.ok([ room, ...allowed ].includes(roomOf(target)!), `${file} imports ${target}`);
          unused.delete(roomOf(target)!);
        }
      }
      assert.deepEqual([ ...unused ], [], 'arrows that no file needs');
    });
  }

  it('have arrows one way', () => {
    const below = (room: string, seen = new Set<string>()): Set<string> => {
      for (const each of ARROWS[room]) if (!seen.has(each)) below(each, seen.add(each));
      return seen;
    };
    for (const room of Object.keys(ARROWS)) assert.ok(!below(room).has(room), room);
  });

  it('know the hints in the wiring only', () => {
    const who = SOURCE.filter(file => roomOf(file) !== 'hints' && importsOf(file).some(target => roomOf(target) === 'hints'));
    assert.deepEqual(who.sort(), WIRING);
  });

  for (const [ name, files ] of [[ 'the source', SOURCE ], [ 'benchmark/', filesIn('benchmark') ]] as const) {
    it(`${name}: no file imports one that leads back to it`, () => {
      assert.ok(files.length > 10);
      const done = new Set<string>();
      const visit = (file: string, way: string[]): void => {
        assert.ok(!way.includes(file), [ ...way.slice(way.indexOf(file)), file ].join(' → '));
        if (done.has(file)) return;
        for (const target of importsOf(file)) visit(target, [ ...way, file ]);
        done.add(file);
      };
      for (const file of files) visit(file, []);
    });
  }
});
