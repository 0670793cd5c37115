-- What queries of the usual dashboard kinds cost the server, beside Prometheus and VictoriaMetrics.
--
-- Usage: luajit spec/bench/query_peers.lua [peers]     SCALE=1 is 10,000 series x 1 h at 10 s and
-- more; JSON=path writes the figures there too; ONLY=text asks those queries only whose name holds
-- it; HOLD=1 asks nothing and waits for a line. BUILD names the folder of programs.
--
-- All servers get the same samples by remote write, then each query several times. A figure is the
-- CPU time of the server's process (user and system, from /proc) per query; answers are read whole,
-- uncompressed. VictoriaMetrics is asked with nocache=1: the next dashboard asks something else.
package.path = "./?.lua;" .. package.path
local cjson = require "cjson"
local process = require "spec.support.process"
local remote_write = require "spec.support.remote_write"
local http = require "socket.http"
local ltn12 = require "ltn12"
local socket = require "socket"
local url = require "socket.url"

local build = os.getenv("BUILD") or "build"
local scale = tonumber(os.getenv("SCALE") or "1")
local only = os.getenv("ONLY") or ""
local END_S = 1700006400 -- a multiple of an hour
local SLICE_S = 1800     -- pushed at once: Prometheus takes nothing much older than the newest

-- --- the samples --------------------------------------------------------------------------------

local seed = 42
local function random()
  seed = (seed * 16807) % 2147483647
  return seed / 2147483647
end

local all = {}
-- kind: "gauge", "counter", or the number of a histogram's bucket.
local function add(labels, kind, from_s, step_s)
  all[#all + 1] = { labels = labels, kind = kind, step_s = step_s,
    next_s = from_s + math.floor(random() * step_s), ms = math.floor(random() * 1000),
    value = type(kind) == "number" and kind * 1000 or math.floor(random() * 1000) }
end

local function instance(i) return ("10.0.%d.%d:9100"):format(i / 256, i % 256) end

local hosts = 1000 * scale
for h = 0, hosts - 1 do
  local host = ("host-%05d"):format(h)
  for m = 0, 9 do
    add({ __name__ = "cpu_seconds_total", host = host, instance = instance(h), job = "node",
      mode = "mode" .. m }, "counter", END_S - 3600, 10)
    add({ __name__ = "memory_bytes", host = host, instance = instance(h), job = "node",
      mode = "mode" .. m }, "gauge", END_S - 3600, 10)
  end
  for m = 0, 3 do
    add({ __name__ = "load_total", host = host, instance = instance(h), job = "node",
      mode = "mode" .. m }, "counter", END_S - 6 * 3600, 15)
  end
  add({ __name__ = "long_total", host = host, instance = instance(h), job = "node" }, "counter",
    END_S - 24 * 3600, 60)
end
for h = 0, 100 * scale - 1 do
  for b, le in ipairs { "0.005", "0.01", "0.05", "0.1", "0.5", "1", "2.5", "5", "10", "+Inf" } do
    add({ __name__ = "latency_bucket", handler = "/api/v1/handler-" .. h, job = "web", le = le },
      b, END_S - 6 * 3600, 15)
  end
end
for i = 0, 100000 * scale - 1 do
  add({ __name__ = "inventory", id = ("%08d"):format(i), rack = "rack-" .. i % 100,
    zone = "zone-" .. i % 7 }, "gauge", END_S - 60, 30)
end

-- The samples of a series before a time, as remote_write.lua wants them; nil when there are none.
local function slice(series, before_s)
  if series.next_s >= before_s then return nil end
  local out = { labels = series.labels }
  while series.next_s < before_s do
    if series.kind == "gauge" then series.value = math.floor(random() * 1e6) / 10
    elseif series.kind ~= "counter" then -- cumulative, as buckets are
      series.value = series.value + series.kind * (series.next_s % 7)
    elseif random() < 0.0002 then series.value = 0
    else series.value = series.value + math.floor(random() * 16) end
    out[#out + 1] = { series.next_s * 1000 + series.ms, series.value }
    series.next_s = series.next_s + series.step_s
  end
  return out
end

-- --- the servers --------------------------------------------------------------------------------

io.stdout:setvbuf("no")
local folder = process.folder()
local servers = {}

local function start(name, port, ready, write, extra, argv)
  local server = { name = name, port = port, write = write, extra = extra or "" }
  server.process = process.start(argv, folder .. "/" .. name .. ".log")
  process.wait_for(name, 60, function()
    return select(2, http.request(("http://127.0.0.1:%d%s"):format(port, ready))) == 200
  end)
  servers[#servers + 1] = server
end

local function installed(name)
  if os.execute("command -v " .. name .. " >/dev/null") == 0 then return true end
  print(name .. ": not installed, left out")
  return false
end

local function start_all(with_peers)
  local port = process.free_port()
  start("tidemark", port, "/-/ready", "/api/v1/write", nil, { build .. "/tidemark", "serve",
    "--data", folder .. "/tidemark", "--retention", "forever", "--log-level", "error", "--listen",
    "127.0.0.1:" .. port })
  if not with_peers then return end
  if installed "prometheus" then
    io.open(folder .. "/prometheus.yml", "w"):close()
    port = process.free_port()
    start("prometheus", port, "/-/ready", "/api/v1/write", nil, { "prometheus", "--config.file=" ..
      folder .. "/prometheus.yml", "--storage.tsdb.path=" .. folder .. "/prometheus",
      "--storage.tsdb.retention.time=100y", "--web.enable-remote-write-receiver",
      "--log.level=error", "--web.listen-address=127.0.0.1:" .. port })
  end
  if installed "victoria-metrics" then
    port = process.free_port()
    start("victoria-metrics", port, "/health", "/api/v1/write", "&nocache=1", { "victoria-metrics",
      "-storageDataPath=" .. folder .. "/victoria", "-retentionPeriod=100y", "-loggerLevel=ERROR",
      "-search.maxUniqueTimeseries=10000000", "-search.maxSamplesPerQuery=10000000000",
      "-httpListenAddr=127.0.0.1:" .. port })
  end
end

-- CPU seconds of a server once it has come to rest (background work of the load is over).
local function settle(server)
  local last = -1
  process.wait_for(server.name .. " at rest", 120, function()
    local before = last
    last = server.process:usage()
    socket.sleep(0.5)
    return server.process:usage() - before < 0.03
  end)
end

local function push_all()
  local samples = 0
  for before = END_S - 24 * 3600 + SLICE_S, END_S, SLICE_S do
    local batch = {}
    local function flush()
      if #batch == 0 then return end
      local body = remote_write.body(batch)
      for _, server in ipairs(servers) do
        remote_write.post(("http://127.0.0.1:%d%s"):format(server.port, server.write), body)
      end
      batch = {}
    end
    for _, series in ipairs(all) do
      local part = slice(series, before)
      if part then
        samples = samples + #part
        batch[#batch + 1] = part
        if #batch == 500 then flush() end
      end
    end
    flush()
  end
  all = nil
  print(("%d samples pushed"):format(samples))
end

-- --- the queries --------------------------------------------------------------------------------

local H1, H6, H24 = END_S - 3600, END_S - 6 * 3600, END_S - 24 * 3600
local queries = {
  { "raw hour of one series", 'cpu_seconds_total{host="host-00001",mode="mode1"}', H1, END_S, 10 },
  { "raw hour of one series as samples", 'cpu_seconds_total{host="host-00001",mode="mode1"}[1h]',
    END_S },
  { "rate over 100 series", 'rate(cpu_seconds_total{host=~"host-0000."}[5m])', H1 + 300, END_S,
    15 },
  { "sum by host, 6 h at 60 s", "sum by (host) (rate(load_total[5m]))", H6 + 300, END_S, 60 },
  { "sum by mode, 1 h at 10 s", "sum by (mode) (rate(cpu_seconds_total[5m]))", H1 + 300, END_S,
    10 },
  { "topk", "topk(10, rate(cpu_seconds_total[5m]))", H1 + 300, END_S, 60 },
  { "topk, instant", "topk(10, memory_bytes)", END_S },
  { "histogram_quantile, 6 h",
    "histogram_quantile(0.99, sum by (le) (rate(latency_bucket[5m])))", H6 + 300, END_S, 60 },
  { "histogram_quantile by handler, 6 h", "histogram_quantile(0.99, rate(latency_bucket[5m]))",
    H6 + 300, END_S, 60 },
  { "24 h at 1 h windows", "sum(rate(long_total[1h]))", H24 + 3600, END_S, 300 },
  { "24 h, avg of 1 h windows", "avg_over_time(long_total[1h])", H24 + 3600, END_S, 3600 },
  { "24 h, max of 1 h windows", "max(max_over_time(long_total[1h]))", H24 + 3600, END_S, 300 },
  { "quantile of 1 h windows", "max(quantile_over_time(0.9, long_total[1h]))", H24 + 3600, END_S,
    600 },
  { "instant, sum over 100,000", "sum(inventory)", END_S },
  { "instant, all 100,000", "inventory", END_S },
  { "instant, count by over 100,000", "count by (rack) (inventory)", END_S },
  { "join of 10,000", "cpu_seconds_total / on (host, mode) memory_bytes", H1 + 300, END_S, 60 },
  { "join, group_left", 'cpu_seconds_total * on (host) group_left () memory_bytes{mode="mode1"}',
    H1 + 300, END_S, 60 },
  { "join, instant", "cpu_seconds_total / on (host, mode) memory_bytes", END_S },
  { "subquery", "max_over_time(sum by (mode) (rate(cpu_seconds_total[5m]))[30m:1m])", H1 + 2100,
    END_S, 60 },
  { "raw hour of 10,000 series", "sum by (mode) (memory_bytes)", H1, END_S, 10 },
}

local function path_of(query, server)
  if query[4] then
    return ("http://127.0.0.1:%d/api/v1/query_range?query=%s&start=%d&end=%d&step=%d%s"):format(
      server.port, url.escape(query[2]), query[3], query[4], query[5], server.extra)
  end
  return ("http://127.0.0.1:%d/api/v1/query?query=%s&time=%d%s"):format(server.port,
    url.escape(query[2]), query[3], server.extra)
end

-- CPU milliseconds of one query, and how many series it answered.
local function measure(query, server)
  local function ask()
    local parts = {}
    local _, status = http.request { url = path_of(query, server), sink = ltn12.sink.table(parts) }
    local body = table.concat(parts)
    assert(status == 200, server.name .. ": " .. query[1] .. ": " .. tostring(status) .. body)
    return select(2, body:gsub('"metric":', ""))
  end
  local series = ask() -- once to warm up
  local before, rounds, started = server.process:usage(), 0, socket.gettime()
  while true do
    ask()
    rounds = rounds + 1
    local spent = server.process:usage() - before
    if rounds >= 3 and (spent > 1 or socket.gettime() - started > 3) then
      return spent / rounds * 1000, series
    end
  end
end

local function run_all()
  local figures = {}
  io.write(("%-36s"):format("CPU ms a query"))
  for _, server in ipairs(servers) do io.write(("%18s"):format(server.name)) end
  io.write("    times less than the better peer\n")
  for _, query in ipairs(queries) do
    if query[1]:find(only, 1, true) then
      io.write(("%-36s"):format(query[1]))
      local ours, better, counts
      local row = { name = query[1], cpu_ms = {} }
      figures[#figures + 1] = row
      for _, server in ipairs(servers) do
        local ms, series = measure(query, server)
        io.write(("%18.2f"):format(ms))
        row.cpu_ms[server.name] = ms
        io.flush()
        counts = counts and (counts .. "/" .. series) or tostring(series)
        if not ours then ours = ms else better = math.min(better or ms, ms) end
      end
      io.write(("    %s  series %s\n"):format(better and ("%.1f"):format(better / ours) or "",
        counts))
    end
  end
  if os.getenv("JSON") then
    local file = assert(io.open(os.getenv("JSON"), "w"))
    file:write(cjson.encode(figures))
    file:close()
  end
end

local ok, problem = pcall(function()
  start_all(arg[1] == "peers")
  push_all()
  for _, server in ipairs(servers) do settle(server) end
  if os.getenv("HOLD") then -- for a profiler: ask by hand
    print(servers[1].process.pid, path_of({ "", "QUERY", H1, END_S, 10 }, servers[1]))
    io.read()
  else
    run_all()
  end
end)
for _, server in ipairs(servers) do server.process:kill() end
process.remove(folder)
if not ok then
  io.stderr:write(tostring(problem), "\n")
  os.exit(1)
end
