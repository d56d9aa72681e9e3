#!/usr/bin/env bash
# What happens on one machine of several: install stajax, mount a bucket, start, stop and watch a command.
# tpu_vm.sh and skypilot.yaml call this on every worker; it can be tried on any machine.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: worker.sh install DATE [EXTRA] | mount BUCKET [FOLDER] | start COMMAND... | stop | state | log [LINES]

  install DATE [EXTRA]     stajax from the folder above this script into ~/stajax-env, with Python 3.12 and the newest allowed
                           versions as of DATE, so that workers that install minutes apart have the same ones.
                           EXTRA: tpu (default), cuda, or none. Prints a digest of all versions.
  mount BUCKET [FOLDER]    a Cloud Storage bucket as FOLDER (default /gcs), with Cloud Storage FUSE
  start COMMAND...         in the background, its output in ~/stajax-run/log; ends what an earlier start left running
  stop                     ask it to save and stop (SIGTERM), end it after 120 s
  state                    one line: running, finished CODE, or nothing
  log [LINES]              the last lines, and what follows

  --dry-run before the command prints what would be run.

examples:
  launch/worker.sh install "$(git log -1 --format=%cI)" tpu
  launch/worker.sh start ~/stajax-env/bin/stajax train --config configs/sta.py:lite --workdir /gcs/sta --distributed
  launch/worker.sh --dry-run mount my-bucket
TEXT
}

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
env=$HOME/stajax-env
place=$HOME/stajax-run
gcsfuse=https://github.com/GoogleCloudPlatform/gcsfuse/releases/download/v3.12.1/gcsfuse_3.12.1_amd64.deb
dry=""

die() {
  echo "worker.sh: $1" >&2
  exit 2
}

run() {
  if [[ -n $dry ]]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

install() {
  local extra=${2:-tpu} wanted
  wanted=$source
  [[ $extra == none ]] || wanted="${source}[$extra]"
  command -v uv >/dev/null || run python3 -m pip install --quiet --user uv
  export PATH=$HOME/.local/bin:$PATH
  [[ -x $env/bin/python ]] || run uv venv --quiet --python 3.12 "$env"
  run uv pip install --quiet --python "$env/bin/python" --exclude-newer "$1" "$wanted"
  if [[ -n $dry ]]; then
    run uv pip freeze --python "$env/bin/python"
  else
    uv pip freeze --quiet --python "$env/bin/python" | grep -v '^stajax\b' | sort >"$HOME/stajax-versions.txt"
    echo "versions $(sha256sum <"$HOME/stajax-versions.txt" | cut -c1-16)"
  fi
}

mount_bucket() {
  local folder=${2:-/gcs}
  mountpoint -q "$folder" 2>/dev/null && return
  if ! command -v gcsfuse >/dev/null; then
    run curl -fsSL -o "$HOME/gcsfuse.deb" "$gcsfuse"
    run sudo apt-get install -y -qq "$HOME/gcsfuse.deb"
  fi
  run sudo mkdir -p "$folder"
  run sudo chown "$(id -u):$(id -g)" "$folder"
  # A finished checkpoint is a folder that is renamed, which a bucket without a hierarchical namespace allows up to this many files.
  run gcsfuse --implicit-dirs --rename-dir-limit=200000 "$1" "$folder"
}

start() {
  if [[ -n $dry ]]; then
    run "$@"
    return
  fi
  stop
  mkdir -p "$place"
  rm -f "$place/code"
  # A session of its own: it outlives this connection, and can be ended with all that it started.
  # shellcheck disable=SC2016 # the inner shell expands them
  setsid nohup bash -c '"${@:2}" >"$1/log" 2>&1; echo $? >"$1/code"' start "$place" "$@" >/dev/null 2>&1 </dev/null &
  echo $! >"$place/pid"
  echo "started on $(hostname)"
}

running() {
  [[ -f $place/pid ]] && kill -0 -- "-$(<"$place/pid")" 2>/dev/null
}

stop() {
  local since=$SECONDS
  running || return 0
  run kill -TERM -- "-$(<"$place/pid")"
  [[ -z $dry ]] || return 0
  while running && ((SECONDS - since < 120)); do sleep 1; done
  running && kill -KILL -- "-$(<"$place/pid")"
  return 0
}

state() {
  if running; then
    echo running
  elif [[ -f $place/code ]]; then
    echo "finished $(<"$place/code")"
  else
    echo nothing
  fi
}

[[ ${1:-} != --dry-run ]] || { dry=1 && shift; }
case ${1:-} in
  -h | --help) usage ;;
  install) (($# > 1)) || die "install: as of when? give a date, such as 2026-11-01"
    install "${@:2}" ;;
  mount) (($# > 1)) || die "mount: which bucket?"
    mount_bucket "${@:2}" ;;
  start) (($# > 1)) || die "start: which command?"
    start "${@:2}" ;;
  stop) stop ;;
  state) state ;;
  log) run tail -n "${2:-100}" -f "$place/log" ;;
  *) die "${1:-no command}: one of install, mount, start, stop, state, log; see --help" ;;
esac
