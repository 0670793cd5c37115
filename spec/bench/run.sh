#!/bin/sh
# make bench: what the codecs, the decoders and the whole server cost on this machine.
# Usage: run.sh [peers]     BUILD names the folder of programs. Sizes: SERIES, SCRAPES, BATCH,
# MILLION, IDLE.
#
# Figures are CPU seconds and bytes; wall times on a shared machine mean little. With "peers",
# side_by_side.lua then puts Prometheus and VictoriaMetrics beside it. SIDE="flags" runs only that
# (the top of side_by_side.lua lists them, and how long each part takes).
set -eu
if [ -n "${SIDE:-}" ]; then
  # shellcheck disable=SC2086 # flags are words
  exec luajit spec/bench/side_by_side.lua $SIDE
fi
build=${BUILD:-build}
series=${SERIES:-100000}
scrapes=${SCRAPES:-60}
batch=${BATCH:-2000}
rounds=${ROUNDS:-3}
work=$(mktemp -d)
server=""

stop() {
  [ -n "$server" ] || return 0
  kill -TERM "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  server=""
}
trap 'stop; rm -rf "$work"' EXIT INT TERM

# wait_for URL: until it answers 200, at most a minute.
wait_for() {
  n=0
  until curl -fs -o /dev/null "$1"; do
    n=$((n + 1))
    [ $n -lt 600 ] || { echo "no answer from $1" >&2; tail -5 "$work/log" >&2; exit 1; }
    sleep 0.1
  done
}

load() { # NAME PORT PATH
  "$build/bench/load" --host 127.0.0.1 --port "$2" --path "$3" --format remote_write \
    --series "$series" --scrapes "$scrapes" --batch "$batch" --connections 2 --pid "$server" \
    --name "$1"
}

bytes_on_disk() { du -sb "$1" | cut -f1; }

bench_tidemark() {
  rm -rf "$work/data"
  "$build/tidemark" serve --data "$work/data" --listen 127.0.0.1:19201 --retention forever \
    --log-level error 2>"$work/log" &
  server=$!
  wait_for http://127.0.0.1:19201/-/ready
  load tidemark 19201 /api/v1/write
  stop
  echo "tidemark bytes_on_disk=$(bytes_on_disk "$work/data")"
}

echo "== codecs"
"$build/bench/codec"
echo "== decoders"
"$build/bench/decode"
echo "== series files and heads.db, 20000 series"
"$build/bench/disk" "$work/disk" 20000
echo "== a store of ${MILLION:-1000000} series: background work, and how long pushes wait"
"$build/bench/million" "$work/million" "${MILLION:-1000000}" "${IDLE:-100000}"
rm -rf "$work/million"
echo "== queries in a store, 10000 series"
"$build/bench/query" "$work/query" 10000
rm -rf "$work/query"
echo "== the write-ahead log, 100000 series"
"$build/bench/log" "$work/log" 100000 60
echo "== queries of dashboards over HTTP"
BUILD="$build" luajit spec/bench/query_peers.lua "${1:-}"
echo "== server: remote write, $series series x $scrapes scrapes, batches of $batch"
round=0
while [ $round -lt "$rounds" ]; do
  bench_tidemark
  round=$((round + 1))
done
echo "== server: each push format, 20000 series x 50 scrapes after 10, one sample a line"
for format in remote_write remote_write2 text influx jsonl otlp; do
  rm -rf "$work/data"
  "$build/tidemark" serve --data "$work/data" --listen 127.0.0.1:19201 --retention forever \
    --log-level error 2>"$work/log" &
  server=$!
  wait_for http://127.0.0.1:19201/-/ready
  "$build/bench/load" --host 127.0.0.1 --port 19201 --format "$format" --series 20000 \
    --scrapes 60 --warmup 10 --pid "$server" --verify --name "$format" |
    sed -n "s/^server/$format/p; s/^counted back/$format/p"
  stop
done
if [ "${1:-}" = peers ]; then
  echo "== side by side"
  luajit spec/bench/side_by_side.lua
fi
