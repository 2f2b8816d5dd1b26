#!/bin/sh
# Runs the core of the tests on Egg 4: on a copy of the plugin beside Egg 4's packages, where Node finds these first.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root/test/egg-4"

core='
  after-response boot context-store cookie-attributes
  egg-session-cookie egg-session-data egg-session-differences egg-session-events egg-session-store
  inject legacy-cookie logger merging mock-session no-session-here options-boot races regenerate registry sealed-cookie security shutdown
  store stores two-applications update cluster request-is-over events passport principal max-sessions ended-sessions timeouts lifetime external-key
'

if ! cmp -s package-lock.json node_modules/installed; then
  npm ci --silent
  cp package-lock.json node_modules/installed
fi

trap 'rm -rf plugin' EXIT
trap 'exit 1' INT TERM
rm -rf plugin
mkdir -p plugin/test
ln -s ../node_modules plugin/node_modules
ln -sfn ../plugin node_modules/egg-tegg-session
(cd "$root" && cp -R .mocharc.yml package.json tsconfig.json app app.ts config index.ts module testing test/egg-4/plugin)
(cd "$root/test" && cp -R ./*.ts fixtures support egg-4/plugin/test)

cd plugin
# what Egg 4's packages lack, as the clients of the stores, is there for both
NODE_PATH=$root/node_modules "$root/node_modules/.bin/mocha" "$@" $(printf 'test/%s.test.ts ' $core)
