#!/bin/sh
# Compiles in place, for npm to pack. A .js left beside its .ts would be loaded twice, so a failure leaves none.
set -eu
cd "$(dirname "$0")/.."

trap 'node scripts/clean.js' EXIT
trap 'exit 1' INT TERM
# editors show the comments of the types; in the code they would only be downloaded
node_modules/.bin/tsc -p tsconfig.build.json --emitDeclarationOnly
emitted=$(node_modules/.bin/tsc -p tsconfig.build.json --declaration false --removeComments --noCheck --listEmittedFiles)
# shellcheck disable=SC2046 -- no name has a space
node scripts/shrink.js $(echo "$emitted" | sed -n 's/^TSFILE: //p')
node -e "require('./scripts/exports').add()"
trap - EXIT
