-- What an operator's test (*_test.lua) has beside tide: `tidemark test` (core/script/trial.c).
--
-- A test pushes, lets simulated time pass, asks, and says what it expected. The work is C's
-- (trial_binding.c); here is how it is asked for.

local env = require "tidemark.env"
local operate = require "tidemark.operate"
local pretty = require "tidemark.pretty"
local selector = require "tidemark.selector"
local library = require "tidemark.tide"

local tide = library.tide
local format = string.format

-- A pass of maintenance comes so often while time is simulated, and at the end of each advance. In
-- those that take longer than a week it comes once a day and timers come with it, or a year of an
-- alert's looks would take minutes.
local HOUR_MS = 3600 * 1000
local PASS_MS, SLOW_PASS_MS, LONG_MS = 6 * HOUR_MS, 24 * HOUR_MS, 7 * 24 * HOUR_MS
-- Of a value in a message.
local MAX_SHOWN = 4096
-- Events of new series wait in a queue, which a server's scripts thread empties meanwhile.
local PUSHES_BETWEEN = 1000
local LONGEST_MS = 100 * 365 * 24 * HOUR_MS

local trial = {}
local offered = {} -- the names that a test file sees beside tide and require
local tests, titles = {}, {}
local feeds = {} -- series that get samples while time passes: { labels, every, value, next, over }
local asked_for = {} -- errors of rules, by hook and title, that the test has looked at
local next_pass -- milliseconds; nil: no test runs
local pushes = 0 -- since what was due has run

local function now_ms() return math.floor(native.now() * 1000 + 0.5) end

-- Blames the line of the test that called the function.
local function blame(...) error(format(...), 3) end

local function check_options(what, given, allowed)
  if given == nil then return {} end
  if type(given) ~= "table" then error(what .. ": a table of options, please", 3) end
  for name in next, given do
    if not allowed[name] then error(format("%s: unknown option %s", what, tostring(name)), 3) end
  end
  return given
end

-- Milliseconds of "30d" or of seconds.
local function duration_ms(what, value)
  local ms = library.milliseconds(value)
  if not ms or ms == math.huge then error(what .. ': not a duration (try "30d")', 3) end
  return ms
end

-- The flat list of labels of 'up{job="web"}' or { __name__ = "up", job = "web" }.
local function labels_of(what, series)
  local list, problem = selector.labels(series)
  if not list then error(what .. ": " .. problem, 3) end
  local flat = {}
  for i, pair in ipairs(list) do flat[2 * i - 1], flat[2 * i] = pair[1], pair[2] end
  return flat
end

-- What is due runs before a test looks.
local function settle()
  pushes = 0
  native.trial_run_due()
end

-- --- registering ---------------------------------------------------------------------------------

--- A test: a title and what is tried.
function offered.test(title, try)
  local script, line = native.where(2)
  if type(title) ~= "string" or #title == 0 or #title > 100 or string.find(title, "%c") then
    blame "test: a title has 1 to 100 bytes and no control characters"
  end
  if type(try) ~= "function" then blame "test: the second argument is a function" end
  if titles[title] then blame('test: the title "%s" is taken by line %d', title, titles[title]) end
  titles[title] = line
  tests[#tests + 1] = { try = try, place = format("%s:%d: ", script, line) }
  native.trial_add(title, line)
end

--- Of the folder's scripts only these are in force in this file's tests.
function offered.scripts(...)
  local names = { ... }
  for _, name in ipairs(names) do
    if type(name) ~= "string" or not string.find(name, "^[%w_.-]+$") then
      blame 'scripts: names of scripts, please, without ".lua"'
    end
  end
  if #names == 0 then blame "scripts: a name, please" end
  native.trial_only(table.concat(names, "\n") .. "\n")
end

--- What the configuration would keep (storage.retention), in this file's tests.
function offered.retention(keep)
  local ms = library.milliseconds(keep)
  if not ms or ms <= 0 then blame 'retention: not a duration (try "15d" or "forever")' end
  native.trial_retention(ms)
end

-- --- pushing -------------------------------------------------------------------------------------

local function push(labels, value, time)
  pushes = pushes + 1
  if pushes == PUSHES_BETWEEN then settle() end
  local stored, reason, text = native.trial_push(labels, value, time)
  return { stored = stored, reason = reason, text = text }
end

-- From 0 to 100, and so that chunks fill up as those of a busy series do: of a value that stays the
-- same one chunk holds months, and goes as a whole.
local function changing(time) return time * 0.6180339887498949 % 1 * 100 end

-- A sample's value at a time, of a number or a function.
local function value_at(what, value, time)
  if value == nil then value = changing end
  if type(value) == "function" then value = value(time) end
  if type(value) ~= "number" then error(what .. ": the value is a number, or a function's", 0) end
  return value
end

--- Pushes a sample as a client would; what became of it: stored, reason, text.
function offered.push(series, value, time)
  if type(value) ~= "number" then blame "push: the value is a number" end
  if time ~= nil and type(time) ~= "number" then blame "push: the time is in seconds since 1970" end
  return push(labels_of("push", series), value, time or native.now())
end

local SAMPLES = { from = true, to = true, every = true, value = true }

--- Pushes many samples; how many were stored, how many were not, and the last one that was not.
function offered.samples(series, options)
  options = check_options("samples", options, SAMPLES)
  local labels = labels_of("samples", series)
  local to = options.to or native.now()
  local from = options.from
  if type(from) == "string" then from = native.now() - duration_ms("samples: from", from) / 1000 end
  if type(from) ~= "number" or type(to) ~= "number" then
    blame 'samples: from is a time or how long ago ("2h"), to a time'
  end
  local every = duration_ms("samples: every", options.every or "1m")
  if every < 1 then blame "samples: every is at least a millisecond" end
  local stored, refused, last = 0, 0, nil
  for i = 0, math.floor((to - from) * 1000 / every + 1e-6) do
    local time = from + i * every / 1000
    local one = push(labels, value_at("samples", options.value, time), time)
    if one.stored then stored = stored + 1 else refused, last = refused + 1, one end
  end
  return stored, refused, last
end

local FEED = { every = true, value = true }

--- From now on the series gets samples while time passes; the answer's stop() ends that.
function offered.feed(series, options)
  options = check_options("feed", options, FEED)
  local every = duration_ms("feed: every", options.every or "1m")
  if every < 1 then blame "feed: every is at least a millisecond" end
  local feed = { labels = labels_of("feed", series), every = every, value = options.value,
    next = now_ms() }
  feeds[#feeds + 1] = feed
  local handle = {}
  function handle.stop() feed.over = true end
  return env.read_only("feed", handle)
end

-- --- time ----------------------------------------------------------------------------------------

-- Samples of the feeds that are due.
local function push_due(now)
  for _, feed in ipairs(feeds) do
    while feed.next <= now and not feed.over do
      push(feed.labels, value_at("feed", feed.value, feed.next / 1000), feed.next / 1000)
      feed.next = feed.next + feed.every
    end
  end
end

local function pass(now, every)
  native.trial_pass()
  next_pass = now + every
end

-- When something is to be done next, at the latest at `target`.
local function next_stop(target, is_long)
  local stop = math.min(target, next_pass, is_long and target or native.trial_next_due())
  for _, feed in ipairs(feeds) do
    if not feed.over then stop = math.min(stop, feed.next) end
  end
  return math.max(stop, now_ms())
end

--- Lets time pass: feeds, timers, alerts, events and passes of maintenance come as they are due.
function offered.advance(duration)
  local length = duration_ms("advance", duration)
  if length > LONGEST_MS then blame "advance: at most a hundred years" end
  local target, is_long = now_ms() + length, length > LONG_MS
  push_due(now_ms())
  settle()
  while now_ms() < target do
    local now = next_stop(target, is_long)
    native.trial_move(now - now_ms())
    push_due(now)
    if not is_long or now >= next_pass then settle() end
    if now >= next_pass then pass(now, is_long and SLOW_PASS_MS or PASS_MS) end
  end
  pass(target, PASS_MS)
  settle()
end

-- --- asking --------------------------------------------------------------------------------------

local QUERY = { time = true, from = true, to = true, step = true, timeout = true, user = true,
  tenant = true }

-- The answer; nil, text and status when a rule refused it.
local function ask(what, text, options)
  if type(text) ~= "string" then error(what .. ": PromQL as a text, please", 3) end
  options = check_options(what, options, QUERY)
  settle()
  local given = {}
  for name, value in next, options do given[name] = value end
  given.user, given.tenant = nil, nil
  local by_user = options.user ~= nil or options.tenant ~= nil
  if by_user then given.as = "user" end
  native.trial_reader(options.user, options.tenant)
  local well, answer = native.pcall(tide.query, text, given)
  if well then return answer end
  answer = string.gsub(tostring(answer), "^[^\n]-%.lua:%d+: ", "")
  local status = by_user and native.trial_status() or 0
  if status == 0 then error(what .. ": " .. answer, 3) end
  return nil, answer, status
end

--- An answer to PromQL; with user or tenant as theirs, through the query and result rules.
function offered.query(text, options)
  local answer, problem, status = ask("query", text, options) -- no tail call: errors blame the test
  return answer, problem, status
end

--- The answer of an instant query as numbers by series, 'up{job="web"}' -> 1.
function offered.values(text, options)
  local answer, problem, status = ask("values", text, options)
  if type(answer) ~= "table" then return answer, problem, status end
  local map = {}
  for _, series in ipairs(answer) do
    if series.value == nil then blame "values: not an instant query's vector" end
    map[(string.gsub(pretty.series_name(series.labels), '", ', '",'))] = series.value
  end
  return map
end

--- Series that match a selector, with their first and last times; and how many there are.
function offered.series(text, options)
  settle()
  if type(text) ~= "string" then blame "series: a selector, please" end
  return tide.series(text, options)
end

local SHAPE = { kind = true, query = true, user = true, tenant = true, remote = true,
  dashboard = true, panel = true, from = true, to = true, step = true }

--- A read as the query rules leave it; or nil, status and text of a refusal.
function offered.shape(request)
  return native.trial_shape(check_options("shape", request, SHAPE))
end

--- Alerts that are pending or firing: rule, state, labels, annotations, value, since.
function offered.alerts()
  settle()
  return native.trial_alerts()
end

--- What webhooks would have got: status, labels, annotations, value, time.
function offered.told()
  settle()
  return native.trial_told()
end

--- What tide.log wrote: level, text, time.
function offered.logged()
  settle()
  return native.trial_logged()
end

-- Rules that have failed and were not asked for yet.
local function failures()
  local list = {}
  for _, rule in ipairs(native.rules()) do
    local key = rule.hook .. " " .. rule.title
    if rule.errors and rule.errors > (asked_for[key] or 0) then
      list[#list + 1] = { hook = rule.hook, title = rule.title, text = rule.last_error }
      asked_for[key] = rule.errors
    end
  end
  return list
end

--- What has happened, as tide.on's functions get it: event, time, labels, text, number, bound; of
--- one kind when it is named.
function offered.events(kind)
  settle()
  local list = {}
  for _, event in ipairs(native.trial_events()) do
    if kind == nil or event.event == kind then list[#list + 1] = event end
  end
  return list
end

--- Rules that have failed since this was asked last: hook, title, text. Those that a test does not
--- ask for fail it.
function offered.rule_errors()
  settle()
  return failures()
end

--- Prints values beside the test's line.
function offered.print(...)
  local parts = {}
  for i = 1, select("#", ...) do
    parts[i] = (string.gsub(pretty.text(select(i, ...), MAX_SHOWN), "\n$", ""))
  end
  native.print(table.concat(parts, "\t") .. "\n")
end

-- --- expecting -----------------------------------------------------------------------------------

local expect = {}

local function shown(value)
  if type(value) == "string" then return pretty.quoted(value) end
  return (string.gsub(pretty.text(value, MAX_SHOWN), "\n$", ""))
end

local function fail(note, expected, got)
  error((note ~= nil and tostring(note) .. ": " or "") .. "expected " .. expected .. ", got " ..
    got, 3)
end

local function same(a, b, depth)
  if a == b or (a ~= a and b ~= b) then return true end
  if type(a) ~= "table" or type(b) ~= "table" or depth > 100 then return false end
  for key, value in next, a do
    if not same(value, rawget(b, key), depth + 1) then return false end
  end
  for key in next, b do if rawget(a, key) == nil then return false end end
  return true
end

--- The same value; of tables the same content.
function expect.equal(expected, got, note)
  if not same(expected, got, 0) then fail(note, shown(expected), shown(got)) end
end

--- A number at most `within` away from another.
function expect.near(expected, got, within, note)
  if type(expected) ~= "number" or type(within) ~= "number" then
    blame "expect.near: a number, what is looked at, and how far it may be away"
  end
  local is_near = type(got) == "number" and math.abs(got - expected) <= within -- no NaN is
  if not is_near then
    fail(note, format("%s within %s", shown(expected), shown(within)), shown(got))
  end
end

--- Neither nil nor false.
function expect.truthy(got, note) if not got then fail(note, "something", shown(got)) end end
--- Nil or false.
function expect.falsy(got, note) if got then fail(note, "nothing", shown(got)) end end

--- A text that has another one in it.
function expect.contains(part, text, note)
  if type(part) ~= "string" then blame "expect.contains: a text, please" end
  if type(text) ~= "string" or not string.find(text, part, 1, true) then
    fail(note, "a text with " .. shown(part) .. " in it", shown(text))
  end
end

--- A function that ends in an error with this text in it.
function expect.fails(part, try, note)
  if type(part) ~= "string" or type(try) ~= "function" then
    blame "expect.fails: a text and a function, please"
  end
  local well, problem = native.pcall(try)
  if well then fail(note, "an error with " .. shown(part) .. " in it", "none") end
  if type(problem) ~= "string" or not string.find(problem, part, 1, true) then
    fail(note, "an error with " .. shown(part) .. " in it", shown(problem))
  end
end

offered.expect = env.read_only("expect", expect)

-- --- for C ---------------------------------------------------------------------------------------

--- Stores at once what a test pushes by tide.push and tide.import, too.
local function store_at_once(name)
  local gather = tide[name]
  library.extend(name, function(...)
    local count = gather(...)
    native.trial_commit()
    return count
  end)
end

local WITHIN = { "push", "samples", "feed", "advance", "query", "values", "series", "shape",
  "alerts", "told", "logged", "events", "rule_errors", "print" }

-- The function, while a test runs.
local function within(name, try)
  return function(...)
    if not next_pass then
      error(name .. ': only within a test: test("title", function() ... end)', 2)
    end
    return try(...)
  end
end

--- The names that a test file sees.
function trial.names()
  library.extend("server", operate)
  store_at_once "push"
  store_at_once "import"
  library.loaded() -- rules are the scripts'
  local names = library.names()
  for name, value in next, offered do names[name] = value end
  for _, name in ipairs(WITHIN) do names[name] = within(name, offered[name]) end
  return names
end

--- Runs the test that was registered as the index-th.
function trial.run(index)
  next_pass = now_ms() + PASS_MS
  local test = tests[index]
  local well, problem = native.pcall(test.try)
  if not well then
    if type(problem) ~= "string" then problem = "error: " .. shown(problem) end
    local has_place = string.find(problem, "^[^\n]-:%d+: ")
    native.trial_problem((has_place and "" or test.place) .. problem)
  end
  settle()
  for _, failure in ipairs(failures()) do native.trial_problem(failure.text) end
end

return trial
