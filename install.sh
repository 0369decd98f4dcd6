#!/usr/bin/env bash
# Sets mafat up on a machine with Node.js and npm. Needs no root.
#   ./install.sh --demo   build, then show the agent with a synthetic camera inside a small budget, until Ctrl-C
#   ./install.sh --test   build, then run all tests
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly node_least=20.9

fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

usage() {
  sed -n '2,4p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//'
}

check_node() {
  command -v node >/dev/null || fail "Node.js isn't installed; mafat needs Node.js $node_least or newer (https://nodejs.org)"
  command -v npm >/dev/null || fail "npm isn't installed; on Debian it is the package npm"
  local version
  version=$(node --version)
  node -e 'const [have, least] = process.argv.slice(1).map((v) => v.replace("v", "").split(".").map(Number));
    process.exit(have[0] > least[0] || (have[0] === least[0] && have[1] >= least[1]) ? 0 : 1)' "$version" "$node_least" ||
    fail "Node.js is $version; mafat needs $node_least or newer"
  case "$(uname -sm)" in
    'Linux x86_64' | 'Linux aarch64') ;;
    *) fail "this is $(uname -sm); ONNX Runtime has Linux packages for x86_64 and aarch64 only" ;;
  esac
}

# Installs Debian packages where apt is present and may be used; else fails, and the caller says what is missing.
install_debian() {
  local as_root=()
  command -v apt-get >/dev/null || return 1
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 1
    as_root=(sudo -n)
  fi
  echo "installing Debian packages: $*"
  "${as_root[@]}" apt-get update -qq && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# SQLite's binding is compiled if no prebuilt one fits or can be fetched.
missing_compiler() {
  local tool
  for tool in g++ make python3; do command -v "$tool" >/dev/null || printf '%s ' "$tool"; done
}

# Packages are installed again only if the lock file has changed since.
install_packages() {
  if [ node_modules/.package-lock.json -nt package-lock.json ]; then return; fi
  local missing
  missing=$(missing_compiler)
  # shellcheck disable=SC2086 # tools are named like their packages
  if [ -n "$missing" ]; then install_debian $missing || true; fi
  echo 'installing npm packages (a minute or two where SQLite is compiled)'
  npm ci --loglevel=error && return
  missing=$(missing_compiler)
  [ -z "$missing" ] || fail "npm could not install the packages; a compiler is missing: $missing(on Debian: apt install g++ make python3)"
  fail 'npm could not install the packages; its message is above (no network? no space?)'
}

# With jemalloc the executor is faster, on small networks 2.5 times; it runs without it, too.
install_jemalloc() {
  local folder
  for folder in /usr/lib/*-linux-gnu /usr/lib64 /usr/lib /usr/local/lib; do
    if [ -e "$folder/libjemalloc.so.2" ]; then return; fi
  done
  install_debian libjemalloc2 || echo 'jemalloc is not installed (on Debian: apt install libjemalloc2): small networks are slower'
}

# Programs that some tests need, by their command: a broker, cameras, certificates, the service manager's tools.
install_for_tests() {
  local pair command package
  for pair in mosquitto:mosquitto ffmpeg:ffmpeg openssl:openssl systemd-notify:systemd; do
    command=${pair%%:*} package=${pair##*:}
    PATH=$PATH:/usr/sbin command -v "$command" >/dev/null || install_debian "$package" ||
      echo "$package is not installed: the tests that need it are skipped"
  done
}

build() {
  npm run --silent build || fail 'the build failed; the compiler says why above'
}

case "${1:-}" in
  --demo)
    check_node
    install_packages
    install_jemalloc
    build
    exec node dist/demo/main.js "${@:2}"
    ;;
  --test)
    check_node
    install_packages
    install_jemalloc
    install_for_tests
    exec npm test
    ;;
  *)
    usage
    [ "${1:-}" = --help ] || exit 2
    ;;
esac
