-- Tidemark, VictoriaMetrics and Prometheus on the same payloads, in one run, in turn: `make bench
-- WITH=peers`, or this alone:
--
--   luajit spec/bench/side_by_side.lua [--short] [--only PART,...] [--rounds N] [--hour SECONDS]
--                                      [--servers NAME,...] [--dry]
--
-- part     measures                                              on a quiet machine, three servers
-- ingest   CPU a million samples and peak RSS a series,
--          100,000 series x 60, remote write (medians of rounds)              5 min, short 1 min
-- disk     bytes a sample: 10,000 series, a day at 30 s, clean stop           5 min, short 1 min
-- start    seconds and CPU of a start with 1 M series (short: 100,000)        3 min, short 30 s
-- query    CPU of each query of the dashboards' set (query_peers.lua)         5 min, short 2 min
-- cores    CPU and samples a second on one core and on two                    3 min, short 30 s
-- curve    CPU and RSS at 10,000, 100,000 and 1 M series                      8 min, short 1 min
-- churn    10 % of 100,000 series replaced every 10 minutes for a simulated
--          day; ours only (churn.c)                                           5 min, short 1 min
-- hour     1 M series each 15 s for --hour seconds (3600) in 2 GiB; ours only; only when named
--
-- Without --only: all but hour. Prints a table, writes build/bench/side_by_side.json (parts that
-- were not run keep their last figures), and from it docs/benchmarks.md and its charts; --dry
-- writes no documents. Sizes by environment: SERIES, SCRAPES, DISK_SERIES, DISK_SCRAPES,
-- START_SERIES, CURVE, CHURN_STEPS. What a run measures: CPU seconds of the whole server process
-- until it has come to rest, the peak of its resident memory, bytes of its folder after a clean
-- stop, seconds until it is ready.
package.path = "./?.lua;" .. package.path
local cjson = require "cjson"
local socket = require "socket"
local memory_group = require "spec.bench.memory_group"
local peers = require "spec.bench.peers"
local process = require "spec.support.process"
local chart = require "spec.bench.chart"

local build = os.getenv("BUILD") or "build"

-- --- what is asked for --------------------------------------------------------------------------

local asked = { rounds = 3, hour = 3600 }
local ALL = { "ingest", "disk", "start", "query", "cores", "curve", "churn", "hour" }

local function set_of(text)
  local set = {}
  for name in text:gmatch("[^,%s]+") do set[name] = true end
  return set
end

local function wrong_usage(what)
  io.stderr:write("side_by_side: " .. what .. " (the top of this file lists the flags)\n")
  os.exit(2)
end

do
  local i = 1
  local function value()
    i = i + 1
    return arg[i] or wrong_usage(arg[i - 1] .. " needs a value")
  end
  while arg[i] do
    local flag = arg[i]
    if flag == "--short" then asked.short = true
    elseif flag == "--dry" then asked.dry = true
    elseif flag == "--only" then asked.only = set_of(value())
    elseif flag == "--servers" then asked.servers = set_of(value())
    elseif flag == "--rounds" then asked.rounds = tonumber(value()) or wrong_usage("--rounds N")
    elseif flag == "--hour" then asked.hour = tonumber(value()) or wrong_usage("--hour SECONDS")
    else wrong_usage("unknown flag " .. flag) end
    i = i + 1
  end
end
if asked.short then asked.rounds = 1 end
for name in pairs(asked.only or {}) do
  if not (" " .. table.concat(ALL, " ") .. " "):find(" " .. name .. " ", 1, true) then
    wrong_usage("no part " .. name)
  end
end

local function size(name, default, short)
  return tonumber(os.getenv(name) or (asked.short and short or default))
end

local names = {}
for _, name in ipairs(peers.names) do
  local wanted = not asked.servers or asked.servers[name]
  if wanted and peers.available(name) then names[#names + 1] = name
  elseif wanted then print(name .. " is not installed: left out") end
end

-- --- helpers ------------------------------------------------------------------------------------

local function median(list)
  table.sort(list)
  return list[math.ceil(#list / 2)]
end

local function say(...)
  print((...):format(select(2, ...)))
  io.stdout:flush()
end

-- A fresh server over a fresh folder for the length of `use`.
local function with(name, use, wrapper)
  local folder = process.folder()
  local server = peers.start(name, folder, wrapper)
  local ok, result = pcall(use, server, folder)
  server:stop()
  local apparent, blocks = peers.disk(folder .. "/data")
  process.remove(folder)
  if not ok then error(result, 0) end
  return result, apparent, blocks
end

local function ingest(name, series, scrapes, wrapper)
  return (with(name, function(server)
    return server:load { series = series, scrapes = scrapes, batch = 2000, connections = 2,
      warmup = 2 }
  end, wrapper))
end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

-- --- the parts: each fills result[server] or result.ours -----------------------------------------

local parts = {}

function parts.ingest(result)
  local series, scrapes = size("SERIES", 100000), size("SCRAPES", 60, 30)
  local cpu, rss = {}, {}
  for round = 1, asked.rounds do
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

function parts.disk(result)
  local series, scrapes = size("DISK_SERIES", 10000, 2000), size("DISK_SCRAPES", 2880)
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
function parts.start(result)
  local series = size("START_SERIES", 1000000, 100000)
  for _, name in ipairs(names) do
    local folder = process.folder()
    local server = peers.start(name, folder)
    server:load { series = series, scrapes = 3, batch = 5000, connections = 2 }
    server:stop()
    local seconds, cpu = {}, {}
    for round = 1, asked.rounds do
      server = peers.start(name, folder)
      seconds[round], cpu[round] = server.ready_s, (server:usage())
      server:stop()
    end
    process.remove(folder)
    result[name].start_series = series
    result[name].start_seconds, result[name].start_cpu_seconds = median(seconds), median(cpu)
    say("start    %-16s %.2f s, %.2f CPU s with %d series", name, result[name].start_seconds,
      result[name].start_cpu_seconds, series)
  end
end

function parts.query(result)
  local path = os.tmpname()
  local with_peers = #names > 1 and "peers" or ""
  os.execute(("PATH=build/peers/usr/bin:$PATH JSON=%s SCALE=%s BUILD=%s luajit " ..
    "spec/bench/query_peers.lua %s"):format(path, size("SCALE", 1, 0.2), build, with_peers))
  local file = assert(io.open(path))
  local rows = cjson.decode(file:read("*a"))
  file:close()
  os.remove(path)
  for _, name in ipairs(names) do
    result[name].queries = {}
    for i, row in ipairs(rows) do
      result[name].queries[i] = { name = row.name, cpu_ms = row.cpu_ms[name] }
    end
  end
end

-- What a second core adds: the server on one core, and on two.
function parts.cores(result)
  local series, scrapes = size("SERIES", 100000), size("SCRAPES", 40, 20)
  for _, name in ipairs(names) do
    result[name].cores = {}
    for count = 1, 2 do
      local report = ingest(name, series, scrapes,
        { "taskset", "-c", count == 1 and "0" or "0,1" })
      result[name].cores[count] = { cpu_seconds_per_million = report.cpu_seconds_per_million,
        samples_per_second = report.samples_per_second }
      say("cores    %-16s %d: %.0f samples/s, %.3f CPU s per million", name, count,
        report.samples_per_second, report.cpu_seconds_per_million)
    end
  end
end

-- What ingestion costs as the number of series grows.
function parts.curve(result)
  for _, name in ipairs(names) do result[name].curve = {} end
  local counts = os.getenv("CURVE") or (asked.short and "10000 100000" or "10000 100000 1000000")
  for count in counts:gmatch("%d+") do
    for _, name in ipairs(names) do
      local series = tonumber(count)
      local report = ingest(name, series, math.max(4, math.min(200, math.floor(6e6 / series))))
      table.insert(result[name].curve, { series = series,
        cpu_seconds_per_million = report.cpu_seconds_per_million,
        peak_rss_bytes_per_series = report.peak_rss_bytes_per_series })
      say("curve    %-16s %8d series: %.3f CPU s per million samples, %.0f bytes RSS a series",
        name, series, report.cpu_seconds_per_million, report.peak_rss_bytes_per_series)
    end
  end
end

-- A simulated day, on a clock of its own: churn.c prints a line of JSON a step.
function parts.churn(result)
  local folder = process.folder()
  local steps = {}
  local command = ("%s/bench/churn %s/data %d %d"):format(build, folder, size("SERIES", 100000),
    size("CHURN_STEPS", 144, 24))
  for line in output_of(command):gmatch("[^\n]+") do
    if line:find("^{") then steps[#steps + 1] = cjson.decode(line) else print(line) end
  end
  process.remove(folder)
  assert(#steps > 0, "churn: no figures")
  result.ours.churn = steps
end

-- A million series, each pushed every 15 s, in a group of 2 GiB where the system lets us make one.
function parts.hour(result)
  local wrapper = memory_group.wrapper(2 * 2 ^ 30)
  if not wrapper then print("hour: no group of 2 GiB to be had: compare the peak of RSS") end
  local report = with("tidemark", function(server)
    return server:load { series = size("HOUR_SERIES", 1000000, 100000), batch = 2000,
      connections = 2, scrapes = math.max(2, math.floor(asked.hour / 15)), pace = 1 }
  end, wrapper)
  result.ours.hour = { seconds = asked.hour, limited = wrapper ~= nil,
    peak_rss_bytes = report.peak_rss_bytes_per_series * report.series,
    longest_push_ms = report.longest_push_ms, failed = report.failed,
    cpu_seconds_per_million = report.cpu_seconds_per_million }
  say("hour     %d s: peak RSS %.2f GiB, longest push %.0f ms, %d failed", asked.hour,
    result.ours.hour.peak_rss_bytes / 2 ^ 30, report.longest_push_ms, report.failed)
end

-- --- the report ---------------------------------------------------------------------------------

local rows = {
  { "cpu_seconds_per_million", "CPU s per million samples, remote write, known series", "%.3f" },
  { "peak_rss_bytes_per_series", "peak RSS per active series, bytes", "%.0f" },
  { "disk_bytes_per_sample", "bytes per sample on disk, a day at 30 s", "%.2f" },
  { "disk_block_bytes_per_sample", "the same in allocated blocks", "%.2f" },
  { "start_seconds", "seconds to start after a clean stop", "%.2f" },
  { "start_cpu_seconds", "CPU s of that start", "%.2f" },
}

local function machine()
  local cpu = io.open("/proc/cpuinfo"):read("*a"):match("model name%s*:%s*([^\n]+)")
  local memory = io.open("/proc/meminfo"):read("*a"):match("MemTotal:%s*(%d+)")
  return ("%s, %s cores, %.0f GiB"):format(cpu, output_of("nproc"):match("%d+"), memory / 1048576)
end

-- A table of one column a server; cells(name) makes the texts of each row.
local function grid(head, titles, cell)
  local lines = { "| " .. head .. " | " .. table.concat(names, " | ") .. " |",
    "|---" .. ("|---"):rep(#names) .. "|" }
  for i, title in ipairs(titles) do
    local cells, any = {}, false
    for k, name in ipairs(names) do
      cells[k] = cell(name, i) or ""
      any = any or cells[k] ~= ""
    end
    if any then
      lines[#lines + 1] = "| " .. title .. " | " .. table.concat(cells, " | ") .. " |"
    end
  end
  return table.concat(lines, "\n")
end

local function titles_of(list, text)
  local titles = {}
  for i, one in ipairs(list or {}) do titles[i] = text(one) end
  return titles
end

local function main_table(result)
  return grid("", titles_of(rows, function(row) return row[2] end), function(name, i)
    local value = result[name][rows[i][1]]
    return value and rows[i][3]:format(value)
  end)
end

local function curve_table(result)
  local titles = titles_of(result[names[1]].curve, function(at) return tostring(at.series) end)
  return grid("series", titles, function(name, i)
    local at = (result[name].curve or {})[i]
    return at and ("%.3f s, %.0f B"):format(at.cpu_seconds_per_million,
      at.peak_rss_bytes_per_series)
  end)
end

local function query_table(result)
  return grid("CPU ms a query", titles_of(result[names[1]].queries, function(q) return q.name end),
    function(name, i)
      local at = (result[name].queries or {})[i]
      return at and at.cpu_ms and ("%.2f"):format(at.cpu_ms)
    end)
end

local function cores_table(result)
  return grid("cores", { "1", "2" }, function(name, i)
    local at = (result[name].cores or {})[i]
    return at and ("%.2f M samples/s, %.3f s"):format(at.samples_per_second / 1e6,
      at.cpu_seconds_per_million)
  end)
end

local function churn_table(steps)
  local lines = { "| hours | series in memory | archived | memory, MB | label index, MB | " ..
    "written to it, times its size | all files, MB |", "|---|---|---|---|---|---|---|" }
  for i = 1, #steps do
    if i % math.max(1, math.floor(#steps / 6)) == 0 then
      local s = steps[i]
      lines[#lines + 1] = ("| %.1f | %d | %d | %.0f | %.1f | %.1f | %.0f |"):format(s.hours,
        s.active, s.archived, s.memory_bytes / 1e6, s.index_bytes / 1e6,
        s.index_written_bytes / math.max(1, s.index_bytes), s.disk_bytes / 1e6)
    end
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

-- The last run's figures, so that parts can be measured one by one.
local json_path = build .. "/bench/side_by_side.json"
local function last_result()
  local file = io.open(json_path)
  if not file then return {} end
  local ok, old = pcall(cjson.decode, file:read("*a"))
  file:close()
  return ok and old.short == (asked.short or false) and old.results or {}
end

local result = last_result()
result.ours = result.ours or {}
for _, name in ipairs(names) do
  result[name] = result[name] or {}
  result[name].version = peers.version(name)
end

result.measured = result.measured or {} -- when, of which version, and how long it took, by part
for _, part in ipairs(ALL) do
  if asked.only and asked.only[part] or not asked.only and part ~= "hour" then
    local begin = socket.gettime()
    parts[part](result)
    local took_s = socket.gettime() - begin
    result.measured[part] = { date = os.date("!%Y-%m-%d"), seconds = took_s,
      version = result.tidemark and result.tidemark.version }
    say("%-8s took %.0f s", part, took_s)
    write(json_path, cjson.encode { machine = machine(), short = asked.short or false,
      results = result })
  end
end

local versions = {}
for i, name in ipairs(names) do versions[i] = name .. " " .. tostring(result[name].version) end
local took = {}
for _, part in ipairs(ALL) do
  local at = result.measured[part]
  if at then
    took[#took + 1] = ("%s (%s, %s, %.0f s)"):format(part, at.date, at.version, at.seconds)
  end
end
local sections = {
  ("Measured on %s, %s, by `luajit spec/bench/side_by_side.lua --only PART%s` (medians of %d), " ..
    "each part with the version of Tidemark and the time it took: %s."):format(machine(),
    table.concat(versions, ", "), asked.short and " --short" or "", asked.rounds,
    table.concat(took, ", ")),
  main_table(result),
  "![The same as bars, each row relative to its largest](benchmarks.svg)",
}
local function section(title, text, there)
  if not there then return end
  sections[#sections + 1] = title
  sections[#sections + 1] = text
end
local first = result[names[1]]
section("What a sample and a series cost as their number grows (CPU seconds per million " ..
  "samples, peak RSS per series):", curve_table(result), first.curve)
if first.curve then
  sections[#sections + 1] = "![CPU per million samples as series grow](benchmarks-curve.svg)"
end
section("What a second core adds (the server bound to one core, and to two):", cores_table(result),
  first.cores)
section("CPU milliseconds of the dashboards' queries:", query_table(result), first.queries)
section(("%d series of which a tenth is replaced every 10 minutes, on a simulated clock:"):format(
  size("SERIES", 100000)), result.ours.churn and churn_table(result.ours.churn), result.ours.churn)
if result.ours.hour then
  local hour = result.ours.hour
  section("A million series:", ("each pushed every 15 s for %d s%s: peak RSS %.2f GiB, longest " ..
    "push %.0f ms, %d pushes failed."):format(hour.seconds,
    hour.limited and " in a group of 2 GiB" or "", hour.peak_rss_bytes / 2 ^ 30,
    hour.longest_push_ms, hour.failed), true)
end
local text = table.concat(sections, "\n\n")
print("\n" .. text)
if not asked.dry then
  write("docs/benchmarks.svg", chart.bars(rows, names, result))
  if first.curve then
    write("docs/benchmarks-curve.svg", chart.lines("series", "CPU s per million samples", names,
      function(name)
        local points = {}
        for i, at in ipairs(result[name].curve or {}) do
          points[i] = { at.series, at.cpu_seconds_per_million }
        end
        return points
      end))
  end
  write_document(text)
end
