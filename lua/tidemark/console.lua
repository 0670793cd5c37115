-- What a console has beside `tide`: short names for what operators look at, as tables and charts.
--
-- lua/tidemark/session.lua puts these into every session's environment; console_help.lua has their
-- texts.

local tide = require("tidemark.tide").tide
local operate = require "tidemark.operate"
local plot = require "tidemark.plot"
local pretty = require "tidemark.pretty"
local rows = require "tidemark.rows"
local units = require "tidemark.units"

local find, format, huge = string.find, string.format, math.huge

-- Of one answer that watch shows.
local OUTPUT_BYTES = 65536

local console = {}

local function seconds_of(what, text)
  local ms = type(text) == "string" and units.duration(text)
  if not ms or ms <= 0 or ms == huge then
    error(format('%s: a duration such as "1h", please', what), 3)
  end
  return ms / 1000
end

local function text_of(what, text)
  if type(text) ~= "string" or text == "" then error(what .. ": a text, please", 3) end
  return text
end

function console.query(promql, options) return tide.query(text_of("query", promql), options) end
function console.series(selector)
  local list, count = tide.series(text_of("series", selector))
  return rows.mark(list, "fp first@time last@time labels"), count
end
function console.stats() return tide.store.stats() end
function console.delete(selector, options) return tide.delete(selector, options) end
function console.undelete(id) return tide.undelete(id) end

console.kill, console.reload = operate.kill, operate.reload
console.checkpoint, console.persist = operate.checkpoint, operate.persist
console.loglevel = operate.log_level

local QUERIES = "id age query client user from@time to@time step samples series memory_bytes killed"

function console.queries() return rows.mark(operate.queries(), QUERIES) end
function console.slow() return rows.mark(operate.slow_queries(), QUERIES) end
function console.top(what, limit) return rows.mark(operate.top(what, limit), "count text") end
function console.rules()
  return rows.mark(operate.rules(),
    "hook title script line calls errors seconds suspended last_error")
end

-- A line for people; with --json it is in "output".
local function say(form, ...) native.print(format(form, ...) .. "\n") end

function console.samples(selector, from, to)
  text_of("samples", selector)
  if type(from) == "number" then
    to = to or tide.now()
    if type(to) ~= "number" or to < from then error("samples: from and to are not in order", 2) end
    -- A range leaves its begin out.
    return tide.query(format("%s[%dms]", selector, math.floor((to - from) * 1000 + 0.5) + 1),
      { time = to })
  end
  local seconds = seconds_of("samples", from or "5m")
  return tide.query(format("%s[%ds]", selector, math.ceil(seconds)))
end

-- --- chunks -------------------------------------------------------------------------------------

local CHUNK = "fp first@time last@time encoding samples bytes place offset problem"
local MAX_SERIES = 100

local function is_fingerprint(text) return #text == 16 and not find(text, "%X") end

-- One line of what holds for all chunks of a series.
local function tell_series(found)
  local file = found.file_bytes > 0 and format("%d bytes on disk", found.file_bytes) or "no file"
  if found.rest_bytes > 0 then
    file = file .. format(", %d of them behind the last whole chunk", found.rest_bytes)
  end
  if found.late > 0 then file = file .. format(", %d late samples wait", found.late) end
  say("%s%s: %s%s", found.labels and pretty.series_name(found.labels) .. "  " or "", found.fp,
    found.archived and "archived, " or "", file)
end

-- All chunks of some series, each with its fp when there are several.
local function chunk_rows(list, several)
  local all = {}
  for _, found in ipairs(list) do
    tell_series(found)
    for _, chunk in ipairs(found.chunks) do
      if several then chunk.fp = found.fp end
      all[#all + 1] = chunk
    end
    if found.more then say("(there are more: options from, to and limit)") end
  end
  return rows.mark(all, CHUNK)
end

function console.chunks(what, options)
  text_of("chunks", what)
  if is_fingerprint(what) then return chunk_rows { operate.chunks(what, options) } end
  local series, count = tide.series(what, { limit = MAX_SERIES })
  local list = {}
  for i, one in ipairs(series) do list[i] = operate.chunks(one.fp, options) end
  local all = chunk_rows(list, count > 1)
  if count > MAX_SERIES then say("(the first %d of %d series)", MAX_SERIES, count) end
  return all
end

function console.quarantined(fp)
  if fp ~= nil then return chunk_rows { operate.quarantined_chunks(fp) } end
  local list, total = operate.quarantined()
  if total > #list then say("(the first %d of %d)", #list, total) end
  if #list == 0 then return say("nothing is in quarantine") end
  for _, one in ipairs(list) do if not one.missing then one.missing = nil end end
  return rows.mark(list, "fp bytes changed@time name missing metric reason")
end

-- --- deleting and its way back ------------------------------------------------------------------

function console.delete(selector, options)
  local answer = tide.delete(selector, options)
  if answer.id then
    say("Nothing has happened yet. This deletes it, into the trash:")
    say("  delete(%s, { id = %q, from = %s, to = %s })", pretty.quoted(selector), answer.id,
      pretty.number(answer.from), pretty.number(answer.to))
  else
    say("undelete %q brings it back while it lies in the trash", answer.trash or "")
  end
  return answer
end

function console.trash()
  local list = operate.trash()
  if #list == 0 then return say("the trash is empty") end
  return rows.mark(list,
    "id time@time by series chunks samples bytes from@time to@time expires@time interrupted")
end

-- --- retention ----------------------------------------------------------------------------------

local RULE = "rule kind decides series gone chunks samples bytes oldest@time newest@time"

local function sum(list, name)
  local total = 0
  for _, one in ipairs(list) do total = total + one[name] end
  return total
end

function console.plan(selector)
  local plan = operate.plan(selector)
  if plan.held then say("held: nothing is dropped before a confirm(), which says why") end
  if plan.waits then say("too much at once: the pass is held until a confirm(), which says why") end
  if plan.damaged > 0 then say("%d series have damaged files: not counted", plan.damaged) end
  if selector ~= nil then
    if #plan.explained == 0 then return say("no series matches") end
    return rows.mark(plan.explained, "rule since@time chunks labels")
  end
  say("%d chunks, %d samples of %d series would go", sum(plan.rules, "chunks"),
    sum(plan.rules, "samples"), plan.series)
  if plan.first and sum(plan.rules, "chunks") > 0 then
    say("these rules are new: what the first pass drops is kept in the trash")
  end
  return rows.mark(plan.rules, RULE)
end

-- Names what a plan drops.
local function id_of(plan)
  local parts = {}
  for _, rule in ipairs(plan.rules) do
    parts[#parts + 1] = format("%s|%s|%d|%d", rule.kind, rule.rule, rule.chunks, rule.samples)
  end
  return native.fingerprint(table.concat(parts, "\n"))
end

function console.maintain(id)
  local plan = operate.plan()
  local drops = not plan.held and sum(plan.rules, "chunks") > 0
  if not drops or id == id_of(plan) then return operate.maintain() end
  if id ~= nil then say("Since that plan something has changed:") end
  say("Nothing has happened yet. The pass would drop this; maintain %q does it.", id_of(plan))
  return rows.mark(plan.rules, RULE)
end

-- What is held: { id, why, since }.
local function held()
  local list, clock = {}, operate.clock()
  if clock.held then
    list[1] = { id = "clock", since = clock.since, why = format("the clock is %s: now %s, " ..
      "newest sample %s", clock.clock, pretty.time(clock.wall),
      clock.newest and pretty.time(clock.newest) or "none") }
  end
  for _, one in ipairs(operate.holds()) do
    if one.kind == "retention" then
      list[#list + 1] = { id = one.id, since = one.since, why = format("a pass would drop %d of " ..
        "%d chunks, unexpectedly, of %d series", one.chunks, one.all_chunks, one.series) }
    end
  end
  return list
end

function console.confirm(id)
  local list = held()
  for _, one in ipairs(list) do
    if one.id == id then
      operate.confirm(id)
      if id ~= "clock" then return say("the pass is right as it is: it goes on") end
      return say("the clock is right as it is: deletions by age go on")
    end
  end
  if id ~= nil then error("confirm: nothing is held under " .. tostring(id), 2) end
  if #list == 0 then return say("nothing is held back") end
  say("These wait until they are confirmed by their id:")
  return rows.mark(list, "id since@time why")
end

-- --- rules and configuration --------------------------------------------------------------------

function console.trace(labels, options)
  local steps, after, stored = operate.trace(text_of("trace", labels), options)
  say("%s is %sin the store; it ends as %s", labels, stored and "" or "not ",
    pretty.series_name(after))
  if #steps == 0 then return say("no rule is asked about series") end
  return rows.mark(steps, "hook title place verdict")
end

function console.config(part)
  if part ~= nil then text_of("config", part) end
  local list = {}
  for _, one in ipairs(operate.config()) do
    if not part or find(one.key, part, 1, true) then list[#list + 1] = one end
  end
  if #list == 0 then error("config: no key has \"" .. tostring(part) .. "\" in its name", 2) end
  return rows.mark(list, "key value origin")
end

-- --- watch --------------------------------------------------------------------------------------

function console.watch(what, every)
  local pause = seconds_of("watch", every or "2s")
  if type(what) ~= "function" then text_of("watch", what) end
  while true do
    local value
    if type(what) == "function" then value = what() else value = tide.query(what) end
    native.print(pretty.time(tide.now()) .. "\n" .. pretty.text(value, OUTPUT_BYTES) .. "\n")
    native.sleep(pause)
  end
end

-- --- plot ---------------------------------------------------------------------------------------

function console.plot(promql, range)
  plot(text_of("plot", promql), seconds_of("plot", range or "1h"))
end

return console
