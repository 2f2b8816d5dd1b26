#!/bin/sh
# All that `npm test` checks. It needs real servers and a real browser, which this installs where it may.
set -eu
cd "$(dirname "$0")/.."

missing=
command -v "${REDIS_SERVER:-redis-server}" >/dev/null || missing="$missing redis-server"
command -v memcached >/dev/null || missing="$missing memcached"
command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
PATH=$PATH:/usr/sbin command -v pgbouncer >/dev/null || missing="$missing pgbouncer"
PATH=$PATH:/usr/sbin command -v mariadbd >/dev/null || PATH=$PATH:/usr/sbin command -v mysqld >/dev/null || missing="$missing mariadb-server"
command -v openssl >/dev/null || missing="$missing openssl"
command -v certutil >/dev/null || missing="$missing libnss3-tools"
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing="$missing chromium"

install() {
  if [ "$(id -u)" = 0 ]; then sudo=; else sudo='sudo -n'; fi
  command -v apt-get >/dev/null && $sudo true 2>/dev/null || return 1
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    # the tests start their own servers: this is Debian's way to have a package start none
    trap '$sudo rm -f $policy' EXIT
    trap 'exit 1' INT TERM
    printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
    $sudo chmod +x $policy
  fi
  echo "installing with apt-get: $*"
  $sudo apt-get update -qq </dev/null >/dev/null 2>&1 || true # the list that is there may do
  log=$($sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" </dev/null 2>&1) || {
    echo "$log" >&2
    return 1
  }
}

if [ -n "$missing" ]; then
  # shellcheck disable=SC2086
  if ! (install $missing); then
    echo "npm test needs these Debian packages, install them first:$missing" >&2
    exit 1
  fi
fi

node scripts/clean.js # of a build that was cut short

types=$(mktemp)
npm run types >"$types" 2>&1 & # beside the lint, and its output after that
failed=
npm run lint || failed=1
wait $! || failed=1
cat "$types"
rm "$types"
[ -z "$failed" ]

npx c8 mocha --parallel --jobs 4 'test/*/*.test.ts' # each file in a process that it may share with others; many tests wait for servers
npm run test:egg-4
npm run pack-check
