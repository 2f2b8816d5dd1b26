#!/bin/sh
# Runs the core of the tests on Egg 4: with a copy of the plugin beside Egg 4's packages, where Node finds these first.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root/test/egg-4"

core='egg-session-cookie egg-session-data egg-session-events egg-session-store
  inject mock-session sealed-cookie store memory-store legacy-cookie several-cookies device'

if ! cmp -s package-lock.json node_modules/installed.json; then
  npm ci --silent
  cp package-lock.json node_modules/installed.json
fi

trap 'rm -rf plugin' EXIT
trap 'exit 1' INT TERM
rm -rf plugin
mkdir -p plugin/test
ln -s ../node_modules plugin/node_modules
ln -sfn ../plugin node_modules/egg-tegg-session
(cd "$root" && cp -R .mocharc.js package.json tsconfig.json README.md agent.ts app app.ts config index.ts module testing test/egg-4/plugin)
(cd "$root/test" && cp -R app fixtures support egg-4/plugin/test)

cd plugin
export NODE_PATH="$root/node_modules" # has what does not depend on Egg, as the clients of the stores
# egg-session itself, to which the tests of the full run compare the plugin, is for Egg 3
# shellcheck disable=SC2046,SC2086
"$NODE_PATH/.bin/mocha" --parallel --jobs 2 --reporter dot --invert --grep 'does: egg-session ' $(printf 'test/app/%s.test.ts ' $core)
