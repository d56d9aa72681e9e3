#!/usr/bin/env bash
# The same on a cluster that xpk made: build the image, then submit a workload.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: xpk.sh [options] NAME -- stajax ARGUMENTS...

Builds and pushes the image of launch/gke/Dockerfile, and submits `stajax ARGUMENTS... --distributed` with xpk to all hosts.

options:
  --cluster C    made with `xpk cluster create`
  --zone Z       of the cluster
  --project P    of the cluster
  --type T       such as v6e-16 or v5litepod-16
  --slices N     (default 1)
  --image I      such as REGION-docker.pkg.dev/PROJECT/REPOSITORY/stajax:TAG
  --storage S    the bucket under /gcs, as it was attached (see below)
  --restarts N   after preemptions and failures (default 50)
  --no-build     the image is there already
  --dry-run      print the commands, run nothing
  -h, --help     this

examples:
  xpk storage attach stajax-gcs --type=gcsfuse --cluster=C --zone=Z --project=P --bucket=my-bucket --mount-point=/gcs \
      --readonly=false --size=1 --auto-mount=false --mount-options=implicit-dirs,rename-dir-limit=200000
  launch/gke/xpk.sh --cluster C --zone Z --project P --type v6e-16 --image IMAGE --storage stajax-gcs sta \
      -- train --config configs/sta.py:lite --workdir /gcs/sta --config.records=/gcs/pseudo --config.batch=256
  xpk workload list --cluster=C --zone=Z --project=P
TEXT
}

die() {
  echo "xpk.sh: $1" >&2
  exit 2
}

cluster="" zone="" project="" type="" slices=1 image="" storage="" restarts=50 build=1 dry="" name=""
while (($#)); do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --cluster | --zone | --project | --type | --slices | --image | --storage | --restarts)
      (($# > 1)) || die "$1 needs a value"
      declare "${1#--}=$2"
      shift 2
      ;;
    --no-build) build="" && shift ;;
    --dry-run) dry=1 && shift ;;
    --) shift && break ;;
    *) [[ -z $name && $1 != -* ]] || die "$1: no such option; see --help"
      name=$1 && shift ;;
  esac
done
[[ -n $name ]] || die "the workload needs a name; see --help"
(($#)) || die "what? give it after --; see --help"
for needed in cluster zone project type image; do [[ -n ${!needed} ]] || die "give --$needed; see --help"; done

run() {
  if [[ -n $dry ]]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if [[ -n $build ]]; then
  run docker build -f "$here/launch/gke/Dockerfile" -t "$image" "$here"
  run docker push "$image"
fi
printf -v words ' %q' "$@"
more=()
[[ -z $storage ]] || more+=(--storage="$storage")
run xpk workload create --cluster="$cluster" --zone="$zone" --project="$project" --workload="$name" \
  --tpu-type="$type" --num-slices="$slices" --docker-image="$image" --max-restarts="$restarts" ${more[@]+"${more[@]}"} \
  --command="cd /stajax && stajax$words --distributed"
