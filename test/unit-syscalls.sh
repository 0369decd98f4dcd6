#!/usr/bin/env bash
# Runs the agent inside the unit's filter of system calls, and lists those that it uses outside of it.
#   test/unit-syscalls.sh [SECONDS]     after a build; needs systemd-analyze, strace, python3 and libseccomp
# 1. Under strace, the agent serves a network with cameras (one through ffmpeg where that is there), searches a front,
#    answers `mafat status` and ends. Each call outside of the filter is printed: the unit refuses it.
# 2. The same once more with the real filter, which systemd would load. It has to serve, search and end cleanly.
# It isn't part of `npm test`: it takes a minute or two, and strace may not be allowed in a container.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly seconds=${1:-25}
readonly unit=systemd/mafat-agent.service

for tool in systemd-analyze strace python3; do
  command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed"; exit 0; }
done
[ -f dist/agent/main.js ] || { echo 'build first: npm run build' >&2; exit 1; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export MAFAT_MODELS=$folder/models

# The names of all calls that the unit allows, one a line: groups in its lines `SystemCallFilter=` are looked up.
systemd-analyze syscall-filter --no-pager >"$folder/groups" 2>/dev/null
python3 - "$unit" "$folder/groups" >"$folder/allowed" <<'PYTHON'
import re, sys
groups, name = {}, None
for line in open(sys.argv[2]):
    word = line.strip()
    if not word or word.startswith('#'): continue
    if not line.startswith(' '): name = word; groups[name] = []
    else: groups[name].append(word)
def calls(word):
    return {word} if not word.startswith('@') else set().union(*map(calls, groups[word]))
allowed = set()
for line in open(sys.argv[1]):
    found = re.match(r'SystemCallFilter=(~?)(.*)', line.strip())
    if not found: continue
    named = set().union(*map(calls, found[2].split()))
    allowed = allowed - named if found[1] else allowed | named
print('\n'.join(sorted(allowed)))
PYTHON

# Becomes a command inside the filter, as systemd loads it: a call outside of it fails with EPERM.
cat >"$folder/filtered.py" <<'PYTHON'
import ctypes, os, sys
seccomp = ctypes.CDLL('libseccomp.so.2')
seccomp.seccomp_init.restype = ctypes.c_void_p
ALLOW, ERRNO_EPERM = 0x7FFF0000, 0x00050000 | 1
context = ctypes.c_void_p(seccomp.seccomp_init(ERRNO_EPERM))
for name in open(sys.argv[1]).read().split():
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    # Some names are those of other processors.
    if number >= 0: seccomp.seccomp_rule_add(context, ALLOW, number, 0)
if seccomp.seccomp_load(context) != 0: sys.exit('Cannot load the filter')
os.execvp(sys.argv[2], sys.argv[2:])
PYTHON

port=$((20000 + RANDOM % 20000))
cat >"$folder/agent.yaml" <<YAML
node: filtered
models: [{ name: small }]
mqtt: { listen: { port: $port } }
cameras: [{ kind: synthetic, name: drawn, model: small, fps: 2 }]
store: { path: $folder/agent.db }
health: { interval: 1 }
YAML
node dist/agent/main.js model synth yolov2-tiny --layers 0-9 --name small >/dev/null

# Serves for a while, then ends. Arguments: name of the run, then what the agent is started by.
serve() {
  local name=$1
  shift
  "$@" node --max-old-space-size=192 --single-threaded-gc --v8-pool-size=1 dist/agent/main.js agent \
    --config "$folder/agent.yaml" >"$folder/$name.log" 2>&1 &
  local agent=$!
  sleep "$seconds"
  node dist/agent/main.js status --server "mqtt://127.0.0.1:$port" --node filtered --json >"$folder/$name.status" ||
    { cat "$folder/$name.log"; echo "$name: the agent gives no status" >&2; exit 1; }
  # Of strace, the only child is the agent.
  [ "${1:-}" = strace ] && agent_pid=$(cat "/proc/$agent/task/$agent/children") || agent_pid=$agent
  kill -TERM $agent_pid
  wait $agent || { cat "$folder/$name.log"; echo "$name: the agent did not end cleanly" >&2; exit 1; }
  grep -q 'plans of the model known' "$folder/$name.log" || { cat "$folder/$name.log"; echo "$name: no front was searched" >&2; exit 1; }
  rm -f "$folder"/agent.db*
}

serve traced strace -f -qq -c -o "$folder/calls"
if command -v ffmpeg >/dev/null; then
  strace -f -qq -c -o "$folder/ffmpeg-calls" ffmpeg -loglevel error -f lavfi -i testsrc=size=320x240:rate=5 -t 2 \
    -vf scale=64:64 -pix_fmt rgb24 -f rawvideo -y /dev/null
else
  echo 'ffmpeg is not installed: its calls are not looked at'
fi
# Nobody listens there, which its last call finds out.
if command -v systemd-notify >/dev/null; then
  NOTIFY_SOCKET=$folder/none strace -f -qq -c -o "$folder/notify-calls" systemd-notify WATCHDOG=1 2>/dev/null || true
fi

outside() { awk '$1 ~ /^[0-9.]+$/ && $NF != "total" { print $NF }' "$1" | sort -u | comm -23 - "$folder/allowed" | tr '\n' ' '; }
for calls in "$folder"/calls "$folder"/*-calls; do
  refused=$(outside "$calls")
  echo "$(basename "$calls"): refused by the unit: ${refused:-none}"
done

serve filtered python3 "$folder/filtered.py" "$folder/allowed"
if command -v ffmpeg >/dev/null; then
  python3 "$folder/filtered.py" "$folder/allowed" ffmpeg -loglevel error -f lavfi -i testsrc=size=320x240:rate=5 -t 2 \
    -vf scale=64:64 -pix_fmt rgb24 -f rawvideo -y /dev/null
fi
processed=$(node -p 'JSON.parse(fs.readFileSync(process.argv[1])).health.cameras[0].processed' "$folder/filtered.status")
[ "$processed" -gt 0 ] || { echo 'no frame was processed inside the filter' >&2; exit 1; }
echo "filtered: $processed frames processed"
echo 'agent, executor, search and ffmpeg work inside the filter'
