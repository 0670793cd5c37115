#!/bin/sh
# Runs every built fuzz target for some seconds, first over what once broke it.
# Usage: run.sh FOLDER [SECONDS]     FOLDER holds the programs (make fuzz builds them)
#
# Seeds are read from spec/fuzz/corpus/NAME (the target without fuzz_) and stay as they are; new inputs go to FOLDER/corpus.
# An input that breaks a target is kept as FOLDER/broken/TARGET-*: fix it, then move it to
# spec/fuzz/regression/NAME. Ends with a failure if any target broke.
set -eu
folder=$1
seconds=${2:-60}
mkdir -p "$folder/broken"
failed=0

for program in "$folder"/fuzz_*; do
  [ -f "$program" ] && [ -x "$program" ] || continue
  target=$(basename "$program")
  found="$folder/corpus/$target"
  mkdir -p "$found"
  seeds=""
  for place in corpus regression; do
    name=${target#fuzz_}
    [ ! -d "spec/fuzz/$place/$name" ] || seeds="$seeds spec/fuzz/$place/$name"
  done
  log="$folder/$target.log"
  if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="$folder/broken/$target-" "$found" $seeds >"$log" 2>&1; then
    result=ok
  else
    result=BROKEN
    failed=1
  fi
  execs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  cover=$(grep -o 'cov: [0-9]*' "$log" | tail -1)
  printf '%-24s %-7s execs: %-10s %s\n' "$target" "$result" "${execs:-?}" "$cover"
  [ "$result" = ok ] || grep -m 3 -E 'ERROR|SUMMARY|Test unit' "$log" || tail -3 "$log"
done
exit $failed
