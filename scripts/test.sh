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

# Some wait for servers and for npm, some compute: they run at the same time, and each has its output in one piece.
outputs=$(mktemp -d)
running=
trap 'kill $running 2>/dev/null || :; rm -rf "$outputs"' EXIT
trap 'exit 1' INT TERM
begin() {
  name=$1
  shift
  "$@" >"$outputs/$name" 2>&1 &
  running="$running $!"
  eval "pid_$name=$!"
}
failed=
end() {
  eval "wait \$pid_$1" || failed="$failed $1"
  cat "$outputs/$1"
}

begin pack npm run pack-check # in a copy of the sources
begin types npm run types
npm run lint || failed=lint
end types
[ -z "$failed" ]

begin egg4 npm run test:egg-4
# each file in a process that it may share with others; first those that wait for much
{
  npx c8 mocha --parallel --jobs 4 'test/world/*.test.ts' 'test/app/*.test.ts' 'test/rules/*.test.ts' || touch "$outputs/failed"
} 2>&1 | tee "$outputs/mocha"
[ ! -e "$outputs/failed" ] || failed=mocha
end egg4
end pack
if [ -n "$failed" ]; then
  # once more, last, where a reader of a long log looks
  for name in $failed; do
    echo "failed: $name"
    sed -n -e '/^ *[0-9][0-9]* failing/,/^-----/p' -e '/^ERROR/p' "$outputs/$name"
  done >&2
  exit 1
fi
