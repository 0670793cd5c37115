-- tide.server: the engine in the operator's hands, in consoles only
-- (core/script/operate_binding.c).

local env = require "tidemark.env"
local selector = require "tidemark.selector"

local gmatch = string.gmatch

local LEVELS = { "error", "warn", "info", "debug" }
local TOPS = { metric_names = 0, label_names = 1, label_bytes = 2, label_pairs = 3 }

local server = {}

--- The queries under way: id, query, client, user, from, to, step, age, samples, series.
function server.queries() return native.queries(false) end
--- Slow queries that have ended, the newest first.
function server.slow_queries() return native.queries(true) end
--- Stops a query.
function server.kill(id)
  if type(id) ~= "string" and type(id) ~= "number" then
    error("kill: the id of a query, please", 2)
  end
  native.kill(tostring(id))
end

--- The rules in force: hook, title, script, line, calls, errors, seconds, suspended, last_error.
function server.rules() return native.rules() end
--- Reads configuration and scripts again: all of it, or an error and nothing.
function server.reload() native.reload() end

--- One full pass of maintenance now: retention, archiving.
function server.maintain() native.maintain() end
--- What is held until it is confirmed: id, kind ("clock", "retention"), since, counts.
function server.holds() return native.holds() end
--- What is held under this id is right, and goes on.
function server.confirm(id)
  if type(id) ~= "string" then error("confirm: the id of what is held, please", 2) end
  native.confirm(id)
end
--- All complete chunks to disk now.
function server.persist() native.persist() end
--- A checkpoint now.
function server.checkpoint() native.checkpoint() end

--- What there is most of: metric_names, label_names, label_bytes, label_pairs.
function server.top(what, limit)
  if not TOPS[what] then
    error("top: one of metric_names, label_names, label_bytes, label_pairs", 2)
  end
  return native.top(TOPS[what], limit or 10)
end

-- --- looking -------------------------------------------------------------------------------------

local CHUNKS = { from = true, to = true, limit = true }

local function check_options(what, options, allowed)
  if options == nil then return {} end
  if type(options) ~= "table" then error(what .. ": a table of options, please", 3) end
  for name in next, options do
    if not allowed[name] then
      error(what .. ": unknown option " .. tostring(name), 3)
    end
  end
  return options
end

--- The chunks of the series with a fingerprint: fp, labels, archived, file_bytes, rest_bytes, late,
--- more, and chunks: first, last, encoding, samples, bytes, place, offset, problem.
function server.chunks(fp, options)
  options = check_options("chunks", options, CHUNKS)
  return native.chunks(fp, false, options.from, options.to, options.limit)
end

--- What was put aside: name, fp, bytes, changed, missing, metric, reason. And how many there are.
function server.quarantined(limit) return native.quarantined(limit) end
--- The chunks of a file that was put aside, as server.chunks.
function server.quarantined_chunks(fp, options)
  options = check_options("quarantined_chunks", options, CHUNKS)
  return native.chunks(fp, true, options.from, options.to, options.limit)
end

--- What was deleted and can come back: id, by, time, from, to, series, chunks, samples, bytes,
--- expires, interrupted.
function server.trash() return native.trash() end
--- What the next pass of retention would drop: time, held, series, damaged, rules, explained.
function server.plan(what) return native.plan(what) end
--- The clock and whether deletions by age are held: clock, held, wall, since, newest, confirmed.
function server.clock() return native.clock() end
--- The clock is right as it is: what is held goes on.
function server.confirm_clock() return native.confirm_clock() end

local TRACE = { user = true, tenant = true }

--- What every rule says of labels: hook, title, place, asked, failed, verdict. The labels
--- afterwards; whether there is such a series.
function server.trace(labels, options)
  options = check_options("trace", options, TRACE)
  return native.trace(labels, options.user, options.tenant)
end

--- The configuration in force: key, value (as Lua), origin.
function server.config()
  local list = {}
  for key, value, origin in gmatch(native.config(), "([^\t\n]*)\t([^\t\n]*)\t([^\t\n]*)\n") do
    list[#list + 1] = { key = key, value = value, origin = origin }
  end
  return list
end

--- What transforms and limits would do with a new series: hook, rule, outcome, text of each.
function server.intake(labels)
  local list, problem = selector.labels(labels)
  if not list then error("intake: " .. problem, 2) end
  return native.explain_intake(list)
end
--- The fullest quotas: rule, labels, series, series_bound, rate, rate_bound.
function server.quotas(limit) return native.quotas(limit or 10) end

--- The least important lines that are logged; with a name, changes it.
function server.log_level(name)
  local level
  if name ~= nil then
    for i, text in ipairs(LEVELS) do if text == name then level = i - 1 end end
    if not level then error("log_level: error, warn, info or debug", 2) end
  end
  return LEVELS[native.log_level(level) + 1]
end

return env.read_only("tide.server", server)
