#!/bin/sh
# Compiles in place, for npm to pack. A .js left beside its .ts would be loaded twice, so a failure leaves none.
set -eu
cd "$(dirname "$0")/.."

trap 'node scripts/clean.js' EXIT
trap 'exit 1' INT TERM
node_modules/.bin/tsc -p tsconfig.build.json
trap - EXIT
