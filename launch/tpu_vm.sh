#!/usr/bin/env bash
# Train on a Cloud TPU slice: queued resources to get it, ssh to all workers to use it, again after each preemption.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: tpu_vm.sh COMMAND NAME [options] [-- stajax ARGUMENTS...]

commands, in the order of use:
  create    ask for the slice (a queued resource and its one node, both called NAME)
  wait      until it is there
  setup     copy this folder's files to all workers, install the same versions on each, mount the bucket
  run       start `stajax ARGUMENTS... --distributed` on all workers; it goes on when you disconnect
  status    of the slice, and of the command on each worker
  logs      of worker 0, and what follows (--worker I for another)
  stop      ask the command to save and stop
  delete    give the slice back
  keep      all of it: create, wait, setup, run, and after a preemption or a failure again, until the command is done

options (each also from the environment, as TPU_ZONE and so on):
  --zone Z          such as us-east5-b
  --project P       default: gcloud's
  --type T          such as v6e-16, v5p-32, v5litepod-16, v4-32
  --runtime R       TPU software; default by type
  --spot            cheaper, may be preempted; `keep` begins again
  --valid-until D   give up waiting after this long, such as 6h
  --bucket B        mounted as /gcs on every worker; records and working directories belong there
  --extra E         what to install: tpu (default) or none
  --restarts N      of `keep` after failures other than preemption (default 5)
  --poll S          seconds between looks (default 60)
  --worker I        for logs (default 0)
  --dry-run         print the commands, run nothing
  -h, --help        this

examples:
  export TPU_ZONE=us-east5-b TPU_TYPE=v6e-16 TPU_BUCKET=my-bucket
  launch/tpu_vm.sh keep sta --spot -- train --config configs/sta.py:lite --workdir /gcs/sta \
      --config.records=/gcs/pseudo --config.batch=256
  launch/tpu_vm.sh create sta && launch/tpu_vm.sh wait sta && launch/tpu_vm.sh setup sta
  launch/tpu_vm.sh run sta -- pipeline --config configs/pipeline.py:lite --workdir /gcs/ave --config.data.records=/gcs/records
  launch/tpu_vm.sh keep sta --dry-run -- train --config configs/sta.py:lite --workdir /gcs/sta

Versions are the newest that pyproject.toml allows as of the last commit, on all workers, at each setup. The working
directory must lie on the bucket: all workers write checkpoints there, and it outlives the slice.
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The port that Cloud TPU's firewall opens for JAX; JAX's own default, 8482, is closed on some slices (jax#35905).
port=8476

die() {
  echo "tpu_vm.sh: $1" >&2
  exit 2
}

say() { echo "[$(date +%H:%M:%S)] $*" >&2; }

zone=${TPU_ZONE:-} project=${TPU_PROJECT:-} type=${TPU_TYPE:-} runtime=${TPU_RUNTIME:-} bucket=${TPU_BUCKET:-}
valid_until=${TPU_VALID_UNTIL:-} extra=${TPU_EXTRA:-tpu} restarts=5 poll=60 worker=0 spot="" dry="" command="" name=""
while (($#)); do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --zone | --project | --type | --runtime | --bucket | --valid-until | --extra | --restarts | --poll | --worker)
      (($# > 1)) || die "$1 needs a value"
      option=${1#--}
      declare "${option//-/_}=$2"
      shift 2
      ;;
    --spot) spot=1 && shift ;;
    --dry-run) dry=1 && shift ;;
    --) shift && break ;;
    -*) die "$1: no such option; see --help" ;;
    *)
      if [[ -z $command ]]; then command=$1; elif [[ -z $name ]]; then name=$1; else die "$1: one COMMAND and one NAME; see --help"; fi
      shift
      ;;
  esac
done
[[ -n $command ]] || die "which command? see --help"
[[ -n $name ]] || die "$command: the slice needs a name; see --help"
[[ -n $zone ]] || die "where? give --zone, such as us-east5-b"

# Commands of Google's, printed instead in a dry run.

flags=(--zone="$zone")
[[ -z $project ]] || flags+=(--project="$project")

run() {
  if [[ -n $dry ]]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}
queued() { run gcloud compute tpus queued-resources "$1" "$name" "${flags[@]}" "${@:2}"; }
ssh_to() { run gcloud compute tpus tpu-vm ssh "$name" "${flags[@]}" --worker="$1" --command="$2"; }
on_worker() { ssh_to "$1" "bash stajax/launch/worker.sh $2"; }

slice_state() {
  gcloud compute tpus queued-resources describe "$name" "${flags[@]}" --format='value(state.state)' 2>/dev/null || echo MISSING
}

# The commands.

create() {
  [[ -n $type ]] || die "which slice? give --type, such as v6e-16"
  if [[ -z $runtime ]]; then
    case $type in
      v6e-*) runtime=v2-alpha-tpuv6e ;;
      v5p-*) runtime=v2-alpha-tpuv5 ;;
      v5litepod-*) runtime=v2-alpha-tpuv5-lite ;;
      v2-* | v3-* | v4-*) runtime=tpu-ubuntu2204-base ;;
      *) die "$type: which TPU software? give --runtime (TPU7x comes through GKE alone: launch/gke)" ;;
    esac
  fi
  local more=()
  [[ -z $spot ]] || more+=(--spot)
  [[ -z $valid_until ]] || more+=(--valid-until-duration="$valid_until")
  queued create --node-id="$name" --accelerator-type="$type" --runtime-version="$runtime" --async ${more[@]+"${more[@]}"}
}

wait_for_it() {
  local state last=""
  if [[ -n $dry ]]; then
    queued describe --format='value(state.state)'
    return
  fi
  while state=$(slice_state) && [[ $state != ACTIVE ]]; do
    [[ $state == "$last" ]] || say "$name: $state"
    last=$state
    case $state in
      FAILED | SUSPENDING | SUSPENDED | DELETING) say "$name: $state; delete it, then create it again" && return 1 ;;
      MISSING) say "$name: no such queued resource in $zone; create it" && return 1 ;;
    esac
    sleep "$poll"
  done
  say "$name: ACTIVE"
}

setup() {
  local archive versions date
  date=$(git -C "$here" log -1 --format=%cI) || return 1
  archive=$(mktemp -t stajax.XXXXXX.tgz)
  # Tracked files as they are here, changes included.
  [[ -n $dry ]] || (cd "$here" && git ls-files -z | tar --null --ignore-failed-read -czf "$archive" -T -) || return 1
  run gcloud compute tpus tpu-vm scp "$archive" "$name:stajax.tgz" "${flags[@]}" --worker=all || return 1
  rm -f "$archive"
  ssh_to all "rm -rf stajax && mkdir stajax && tar -xzf stajax.tgz -C stajax" || return 1
  if [[ -n $dry ]]; then
    on_worker all "install $date $extra"
  else
    versions=$(on_worker all "install $date $extra" | grep '^versions ' | sort -u) || return 1
    (($(wc -l <<<"$versions") == 1)) || { say "$name: workers have other versions than each other; run setup again" && return 1; }
    say "$name: $versions on all workers"
  fi
  [[ -z $bucket ]] || on_worker all "mount $bucket"
}

start() {
  local words=""
  (($#)) || die "run: what? give it after --, such as -- train --config configs/sta.py:lite --workdir /gcs/sta"
  printf -v words ' %q' "$@"
  # From the source, so that configs/... means the same as here.
  ssh_to all "cd stajax && JAX_COORDINATOR_PORT=$port bash launch/worker.sh start ~/stajax-env/bin/stajax$words --distributed"
}

delete() {
  queued delete --force --quiet
  [[ -n $dry ]] || while [[ $(slice_state) != MISSING ]]; do sleep "$poll"; done
}

# What the command does on each worker, a line each: running, finished CODE, nothing. Fails if they do not answer.
states() { on_worker all state 2>/dev/null | grep -E '^(running|finished [0-9]+|nothing)$'; }

# Looks until the command is done or lost. 0: all workers finished with 0; 1: failed; 2: bad input, no use in trying again;
# 3: the slice is gone.
watch() {
  local found misses=0
  while sleep "$poll"; do
    [[ $(slice_state) == ACTIVE ]] || return 3
    if ! found=$(states); then
      ((++misses < 5)) || return 3
      continue
    fi
    misses=0
    if grep -q '^finished 2$' <<<"$found"; then return 2; fi
    if grep -qE '^(finished [1-9]|nothing)' <<<"$found"; then return 1; fi
    if ! grep -q '^running$' <<<"$found"; then return 0; fi
  done
}

keep() {
  local failures=0 code
  [[ " $* " == *" --workdir /gcs/"* || " $* " == *" --workdir=/gcs/"* ]] ||
    die "keep: --workdir must lie below /gcs, or nothing outlives the slice"
  [[ -n $bucket ]] || die "keep: which bucket is /gcs? give --bucket"
  if [[ -n $dry ]]; then
    create && wait_for_it && setup && start "$@" && on_worker all state && delete
    return
  fi
  while true; do
    case $(slice_state) in
      ACTIVE | WAITING_FOR_RESOURCES | PROVISIONING | CREATING | ACCEPTED) ;;
      MISSING) create ;;
      *) say "$name: what is left of it goes" && delete && create ;;
    esac
    wait_for_it || continue
    code=0
    if [[ $(states) == *running* ]]; then
      say "$name: the command runs already"
    else
      { setup && start "$@"; } || code=1
    fi
    if ((code == 0)); then
      say "$name: running; see it with launch/tpu_vm.sh logs $name --zone $zone"
      watch || code=$?
    fi
    case $code in
      0) say "$name: done" && delete && return 0 ;;
      2)
        ssh_to 0 "tail -n 5 stajax-run/log" >&2 || true
        die "$name: the command says that its input is bad; the slice is still there (delete gives it back)"
        ;;
      3) say "$name: preempted; again" ;;
      *)
        if ((++failures > restarts)); then
          say "$name: failed $failures times; the slice is still there (see logs; delete gives it back)"
          return 1
        fi
        say "$name: failed, $failures of $restarts allowed; again"
        on_worker all stop || true
        ;;
    esac
  done
}

case $command in
  create) create ;;
  wait) wait_for_it ;;
  setup) setup ;;
  run) start "$@" ;;
  status)
    queued describe --format='value(state.state)'
    on_worker all state ;;
  logs) on_worker "$worker" log ;;
  stop) on_worker all stop ;;
  delete) delete ;;
  keep) keep "$@" ;;
  *) die "$command: one of create, wait, setup, run, status, logs, stop, delete, keep; see --help" ;;
esac
