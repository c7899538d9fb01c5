#!/usr/bin/env bash
# Trains the rows of papers that fit a processor again from nothing: under the paper's protocol and val_best, all seeds, and
# three seeds by hand; then our own baselines. Writes records/ and the tables that pages hold of them; a day on two cores.
# Two at a time with a thread each: JOBS in the environment says how many, OUT and WORK name other folders of records and of
# runs. Needs MEMBRANE_DATA, or the data are downloaded. Stopped at any time and started again, it goes on where it stopped;
# `rm -r runs/records/reproduce_cpu` starts anew. Arguments are settings that change no row, such as trainer.progress=false.
out=records
source "$(dirname "$0")/steps.sh"
for argument in "$@"; do # each row would fail, behind hours of those by hand
  [[ $argument == *=* ]] && continue
  echo "${0##*/}: $argument: arguments are settings, such as trainer.progress=false; --help says more" >&2
  exit 2
done
export PYTHONPATH=$PWD/src OMP_NUM_THREADS=1
data=${MEMBRANE_DATA:-data}
settings=(threads=1 logger=csv "paths.data=$data" "paths.runs=$work/runs" "$@")
labels=()

# job LABEL COMMAND...: run a command that has not ended well yet, beside others, JOBS at a time
job() {
  local label=$1
  shift
  labels+=("$label")
  [[ -e $work/$label.done ]] && return
  while (($(jobs -rp | wc -l) >= ${JOBS:-2})); do wait -n || true; done
  echo "$label: $*"
  set -m # a process group, which can be ended as a whole
  { trap : TERM && "$@" >>"$work/$label.log" 2>&1 && touch "$work/$label.done"; } & # ends when its command has
  set +m
}

# row ID PROTOCOL: train all seeds of a row under a protocol, and record them
row() {
  job "${1//\//_}.$2" "$python" -m membrane reproduce "$1" --protocol "$2" --record --records "$out" "${settings[@]}"
}

# by_hand ID SCRIPT ARGUMENTS...: train three seeds of a row by hand, and record them
by_hand() {
  local id=$1 script=$2 seed to
  shift 2
  for seed in 0 1 2; do
    to=$out/$id/by_hand/seed$seed
    job "${id//\//_}.by_hand.$seed" "$BASH" -c 'mkdir -p "${0%/*}" && "$@" >"$0.log"' "$to" \
      "$python" "scripts/by_hand/$script.py" "$@" --seed "$seed" --data "$data" --out "$to.json"
  done
}

# stop: end all jobs, membrane's with a checkpoint
stop() {
  trap '' INT TERM
  for group in $(jobs -rp); do kill -TERM -- "-$group" || true; done
  until wait; do :; done # in bash 5.2 the signal ends a first one at once
  echo "stopped; start it again to go on"
  exit 75
}

trap stop INT TERM
for id in spikingjelly/lif_fc_mnist snntorch/t6 snntorch/t5 spikingjelly/conv_fashion_mnist_small \
  seq_fmnist/plain seq_fmnist/synapse seq_fmnist/feedback; do
  row "$id" paper_best_on_test
  row "$id" val_best
done
by_hand spikingjelly/lif_fc_mnist lif_fc_mnist
by_hand snntorch/t5 snntorch_t5
by_hand snntorch/t6 snntorch_t6
by_hand spikingjelly/conv_fashion_mnist_small conv_fashion_mnist --channels 8 --epochs 12
for variant in plain synapse feedback; do
  by_hand "seq_fmnist/$variant" seq_fmnist "$variant"
done
for id in uci_har nmnist_subset fsdd; do
  row "$id" last
  row "$id" val_best
done
row fashion_mnist_small val_best
wait

for label in "${labels[@]}"; do
  [[ -e $work/$label.done ]] || failed+=("$work/$label.log")
done
if [[ -n ${failed-} ]]; then
  echo "failed, see ${failed[*]}" >&2
  exit 1
fi
"$python" -m membrane reproduce --redraw --records "$out" # two jobs of a row may have drawn it at the same time
if [[ $out == records ]]; then "$python" scripts/record_tables.py; fi
