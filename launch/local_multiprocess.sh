#!/usr/bin/env bash
# Several processes of one command on this machine, which find each other as the hosts of a pod do: its dry run, on CPUs.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: local_multiprocess.sh [options] N -- COMMAND...

N processes of COMMAND on this machine's CPUs, with --coordinator, --processes and --process added: the dry run of a pod.
The first one's output is shown, all are kept. When one fails the others are stopped.

options:
  --devices D   CPU devices of each process (default 1)
  --port P      where process 0 listens (default: a free one)
  --logs DIR    for process-0.log, process-1.log, ... (default: a new folder in the temporary one)
  --grace S     seconds that a process has to save and stop (default 30)
  --dry-run     print the commands, run nothing
  -h, --help    this

examples:
  launch/local_multiprocess.sh 2 -- stajax train --config configs/s.py:tiny --workdir runs/s --config.records=records
  launch/local_multiprocess.sh --devices 4 2 -- stajax pipeline --config configs/synthetic_tiny.py --workdir runs/tiny

The batch of each stage must divide by all devices, N x D. After Ctrl-C the same command goes on from the last checkpoint.
TEXT
}

die() {
  echo "local_multiprocess.sh: $1" >&2
  exit 2
}

devices=1 port="" logs="" grace=30 dry="" count=""
while (($#)); do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --devices | --port | --logs | --grace)
      (($# > 1)) || die "$1 needs a value"
      declare "${1#--}=$2"
      shift 2
      ;;
    --dry-run) dry=1 && shift ;;
    --) shift && break ;;
    *) [[ -z $count && $1 =~ ^[1-9][0-9]*$ ]] || die "$1: give a number of processes, then -- and the command; see --help"
      count=$1 && shift ;;
  esac
done
[[ -n $count ]] || die "how many processes? see --help"
(($#)) || die "which command? give it after --; see --help"

if [[ -z $port ]]; then
  [[ -n $dry ]] && port=PORT || port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
fi
if [[ -n $dry ]]; then
  for ((i = 0; i < count; i++)); do
    printf 'JAX_PLATFORMS=cpu STAJAX_CPU_DEVICES=%s' "$devices"
    printf ' %q' "$@" --coordinator "127.0.0.1:$port" --processes "$count" --process "$i"
    echo
  done
  exit 0
fi

logs=${logs:-$(mktemp -d -t stajax-processes.XXXXXX)}
mkdir -p "$logs"
: >"$logs/process-0.log" # for what shows it
export JAX_PLATFORMS=cpu STAJAX_CPU_DEVICES=$devices
pids=() shown=""

# What still runs is asked to save and stop; what does not within the grace is ended.
# shellcheck disable=SC2329 # the traps call it
stop_all() {
  local pid until=$((SECONDS + grace))
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do
    while kill -0 "$pid" 2>/dev/null && ((SECONDS < until)); do sleep 0.2; done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
}
# shellcheck disable=SC2329 # the traps call it
finish() {
  stop_all
  [[ -z $shown ]] || kill "$shown" 2>/dev/null || true
}
trap 'exit 130' INT
trap 'exit 143' TERM
trap finish EXIT

for ((i = 0; i < count; i++)); do
  "$@" --coordinator "127.0.0.1:$port" --processes "$count" --process "$i" >"$logs/process-$i.log" 2>&1 &
  pids+=($!)
done
tail -n +1 -f "$logs/process-0.log" &
shown=$!

code=0 running=("${pids[@]}")
while ((${#running[@]} && code == 0)); do
  sleep 0.2
  left=()
  for pid in "${running[@]}"; do
    if kill -0 "$pid" 2>/dev/null; then
      left+=("$pid")
    else
      wait "$pid" || code=$?
    fi
  done
  running=(${left[@]+"${left[@]}"})
done
sleep 0.3 # for the last lines to be shown
if ((code)); then
  echo "local_multiprocess.sh: a process ended with exit code $code; the others are stopped" >&2
  for ((i = 0; i < count; i++)); do echo "$logs/process-$i.log: $(tail -n 1 "$logs/process-$i.log")" >&2; done
else
  echo "local_multiprocess.sh: $count processes done; what they said is in $logs" >&2
fi
exit "$code"
