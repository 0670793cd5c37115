-- tide.server: the engine in the operator's hands, in consoles only
-- (core/script/operate_binding.c).

local env = require "tidemark.env"

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
