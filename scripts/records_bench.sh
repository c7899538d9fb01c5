#!/usr/bin/env bash
# Times training steps on the CPU and writes the tables, figures and numbers of records/bench; a few hours on two cores that
# do nothing else. Started again it goes on with what is missing; `rm -r runs/records/records_bench` starts anew.
# Arguments go to each bench but that of recomputation, as --minutes 10 or --scale 0.1 --rounds 1.
out=records/bench
source "$(dirname "$0")/steps.sh"
bench=("$python" scripts/bench.py --device cpu --out "$out")

step cpu "${bench[@]}" --memory "$@"
step cpu_evaluation "${bench[@]}" --evaluation "$@"
for axis in timesteps batch width; do
  step "cpu_$axis" "${bench[@]}" --sweep "$axis" "$@"
done

step recomputation env PYTHONPATH=src "$python" -m membrane.bench.recomputation --out "$out"

# what a step costs beside its arithmetic: the figures that overhead.md tells of
for name in digits smlp fashion_mnist; do
  case $name in
    digits) overrides=() ;;
    smlp) overrides=(model=smlp 'model.units=[16]' timesteps=2) ;;
    fashion_mnist) overrides=(experiment=fashion_mnist_scnn) ;;
  esac
  step "overhead_$name" env PYTHONPATH=src "$python" -m membrane.bench.overhead "${overrides[@]}"
  cp "$work/overhead_$name.log" "$out"
done
