# shellcheck shell=bash
# Read by the records_*.sh beside it, which set `out`, the folder of records/ that they write.
# PYTHON, WORK and OUT in the environment name another interpreter, folder of runs and folder of records.
set -euo pipefail
shopt -s nullglob
for argument in "$@"; do # of the script that reads this one
  case $argument in
    -h | --help)
      sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    -c | --cfg* | -i | --info* | --hydra-help)
      echo "${0##*/}: $argument prints and trains nothing, so there is nothing to record" >&2
      exit 2
      ;;
  esac
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-.venv/bin/python}
work=${WORK:-runs/records}/$(basename "$0" .sh)
out=${OUT:-$out}
mkdir -p "$work" "$out"

# step LABEL COMMAND...: run a command once. What it prints goes to $work/LABEL.log too. Started again after it ended well
# it is skipped; started again after anything else it runs again, and a run goes on from its last checkpoint.
step() {
  local label=$1 start=$SECONDS
  shift
  [[ -e $work/$label.done ]] && return
  echo "$label: $*"
  "$@" 2>&1 | tee --ignore-interrupts --append "$work/$label.log"
  echo "$label: $((SECONDS - start)) s from the command to its end" | tee --append "$work/$label.log"
  touch "$work/$label.done"
}
