-- make bench WITH=peers: Tidemark, VictoriaMetrics and Prometheus on the same payloads, in one run,
-- in turn. Prints a table, writes build/bench/side_by_side.json, docs/benchmarks.md and its chart.
--
-- Sizes by environment: SERIES (100000), SCRAPES (60), ROUNDS (3), DISK_SERIES (10000),
-- DISK_SCRAPES (2880: a day at 30 s), CURVE ("10000 100000 1000000"), START_SERIES (1000000).
-- What a run measures: CPU seconds of the whole server process until it has come to rest, the peak
-- of its resident memory, bytes of its folder after a clean stop, seconds until it is ready.
local cjson = require "cjson"
local peers = require "spec.bench.peers"
local process = require "spec.support.process"
local chart = require "spec.bench.chart"

local build = os.getenv("BUILD") or "build"
local function size(name, default) return tonumber(os.getenv(name) or default) end

local names = {}
for _, name in ipairs(peers.names) do
  if peers.available(name) then
    names[#names + 1] = name
  else
    print(name .. " is not installed: left out")
  end
end

local function median(list)
  table.sort(list)
  return list[math.ceil(#list / 2)]
end

local function say(...)
  print((...):format(select(2, ...)))
  io.stdout:flush()
end

-- A fresh server over a fresh folder for the length of `use`.
local function with(name, use)
  local folder = process.folder()
  local server = peers.start(name, folder)
  local ok, result = pcall(use, server, folder)
  server:stop()
  local apparent, blocks = peers.disk(folder .. "/data")
  process.remove(folder)
  if not ok then error(result, 0) end
  return result, apparent, blocks
end

-- --- the measurements ---------------------------------------------------------------------------

local function ingest(name, series, scrapes)
  return (with(name, function(server)
    return server:load { series = series, scrapes = scrapes, batch = 2000, connections = 2,
      warmup = 2 }
  end))
end

-- CPU a million samples and bytes a series, medians of rounds that take turns.
local function compare_ingest(result)
  local series, scrapes = size("SERIES", 100000), size("SCRAPES", 60)
  local cpu, rss = {}, {}
  for round = 1, size("ROUNDS", 3) do
    for _, name in ipairs(names) do
      local report = ingest(name, series, scrapes)
      cpu[name], rss[name] = cpu[name] or {}, rss[name] or {}
      table.insert(cpu[name], report.cpu_seconds_per_million)
      table.insert(rss[name], report.peak_rss_bytes_per_series)
      say("round %d  %-16s %.3f CPU s per million samples, %.0f bytes RSS a series at the peak",
        round, name, report.cpu_seconds_per_million, report.peak_rss_bytes_per_series)
    end
  end
  for _, name in ipairs(names) do
    result[name].cpu_seconds_per_million = median(cpu[name])
    result[name].peak_rss_bytes_per_series = median(rss[name])
  end
end

-- Bytes on disk a sample: a day of a devops mix, after a clean stop.
local function compare_disk(result)
  local series, scrapes = size("DISK_SERIES", 10000), size("DISK_SCRAPES", 2880)
  for _, name in ipairs(names) do
    local _, apparent, blocks = with(name, function(server)
      return server:load { series = series, scrapes = scrapes, batch = 2000, connections = 2,
        interval = 30000 }
    end)
    result[name].disk_bytes_per_sample = apparent / (series * scrapes)
    result[name].disk_block_bytes_per_sample = blocks / (series * scrapes)
    say("disk     %-16s %.2f bytes a sample, %.2f in blocks", name, apparent / (series * scrapes),
      blocks / (series * scrapes))
  end
end

-- Seconds and CPU until a clean folder is served again.
local function compare_start(result)
  local series = size("START_SERIES", 1000000)
  for _, name in ipairs(names) do
    local folder = process.folder()
    local server = peers.start(name, folder)
    server:load { series = series, scrapes = 3, batch = 5000, connections = 2 }
    server:stop()
    server = peers.start(name, folder)
    result[name].start_seconds, result[name].start_cpu_seconds = server.ready_s, server:usage()
    server:stop()
    process.remove(folder)
    say("start    %-16s %.2f s, %.2f CPU s with %d series", name, result[name].start_seconds,
      result[name].start_cpu_seconds, series)
  end
end

-- What ingestion costs as the number of series grows.
local function curves(result)
  for count in (os.getenv("CURVE") or "10000 100000 1000000"):gmatch("%d+") do
    for _, name in ipairs(names) do
      local series = tonumber(count)
      local report = ingest(name, series, math.max(4, math.min(200, math.floor(6e6 / series))))
      result[name].curve = result[name].curve or {}
      table.insert(result[name].curve, { series = series,
        cpu_seconds_per_million = report.cpu_seconds_per_million,
        peak_rss_bytes_per_series = report.peak_rss_bytes_per_series })
      say("curve    %-16s %8d series: %.3f CPU s per million samples, %.0f bytes RSS a series",
        name, series, report.cpu_seconds_per_million, report.peak_rss_bytes_per_series)
    end
  end
end

-- --- the report ---------------------------------------------------------------------------------

local rows = {
  { "cpu_seconds_per_million", "CPU s per million samples, remote write, known series", "%.3f" },
  { "peak_rss_bytes_per_series", "peak RSS per active series, bytes", "%.0f" },
  { "disk_bytes_per_sample", "bytes per sample on disk, a day at 30 s", "%.2f" },
  { "disk_block_bytes_per_sample", "the same in allocated blocks", "%.2f" },
  { "start_seconds", "seconds to start, 1 M series, clean", "%.2f" },
  { "start_cpu_seconds", "CPU s of that start", "%.2f" },
}

local function machine()
  local cpu = io.open("/proc/cpuinfo"):read("*a"):match("model name%s*:%s*([^\n]+)")
  local memory = io.open("/proc/meminfo"):read("*a"):match("MemTotal:%s*(%d+)")
  local pipe = io.popen("nproc")
  local cores = pipe:read("*l")
  pipe:close()
  return ("%s, %s cores, %.0f GiB"):format(cpu, cores, memory / 1048576)
end

local function table_of(result)
  local lines = { "| | " .. table.concat(names, " | ") .. " |",
    "|---" .. ("|---"):rep(#names) .. "|" }
  for _, row in ipairs(rows) do
    local cells = {}
    for i, name in ipairs(names) do
      cells[i] = result[name][row[1]] and row[3]:format(result[name][row[1]]) or ""
    end
    if table.concat(cells) ~= "" then
      lines[#lines + 1] = "| " .. row[2] .. " | " .. table.concat(cells, " | ") .. " |"
    end
  end
  return table.concat(lines, "\n")
end

local function curve_table(result)
  local lines = { "| series | " .. table.concat(names, " | ") .. " |",
    "|---" .. ("|---"):rep(#names) .. "|" }
  for i, point in ipairs(result[names[1]].curve or {}) do
    local cells = {}
    for k, name in ipairs(names) do
      local at = result[name].curve[i]
      cells[k] = ("%.3f s, %.0f B"):format(at.cpu_seconds_per_million,
        at.peak_rss_bytes_per_series)
    end
    lines[#lines + 1] = ("| %d | %s |"):format(point.series, table.concat(cells, " | "))
  end
  return table.concat(lines, "\n")
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  print("wrote " .. path)
end

-- The part of docs/benchmarks.md between its marks; what people wrote around it stays.
local function write_document(text)
  local path, opening, closing = "docs/benchmarks.md", "<!-- side by side -->", "<!-- end -->"
  local file = assert(io.open(path))
  local old = file:read("*a")
  file:close()
  local from, to = old:find(opening, 1, true), old:find(closing, 1, true)
  assert(from and to, path .. " has lost its marks")
  write(path, old:sub(1, from + #opening - 1) .. "\n" .. text .. "\n" .. old:sub(to))
end

local result = {}
for _, name in ipairs(names) do result[name] = { version = peers.version(name) } end

compare_ingest(result)
compare_disk(result)
compare_start(result)
curves(result)

local versions = {}
for i, name in ipairs(names) do versions[i] = name .. " " .. tostring(result[name].version) end
local head = ("Measured on %s: %s, %s, by `make bench WITH=peers`."):format(os.date("!%Y-%m-%d"),
  machine(), table.concat(versions, ", "))
print("\n" .. table_of(result) .. "\n\n" .. curve_table(result))
write(build .. "/bench/side_by_side.json", cjson.encode { machine = machine(), results = result })
write("docs/benchmarks.svg", chart.bars(rows, names, result))
write_document(head .. "\n\n" .. table_of(result) ..
  "\n\n![The same as bars, each row relative to its largest](benchmarks.svg)\n\n" ..
  "What a sample and a series cost as their number grows (CPU seconds per million samples, peak " ..
  "RSS per series):\n\n" .. curve_table(result))
