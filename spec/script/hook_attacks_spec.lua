-- What was found to stop scripts, and what not, tried in every hook: each class of attack bare, in
-- an endless loop of pcall and in nested xpcalls; in the load of scripts, in all rules that decide,
-- in functions of PromQL, timers, events, commands and console lines. Each ends within twice its
-- time or half a second of CPU, with the default of its kind, and the rules behind it work. (That a
-- server serves meanwhile: act_attacks_spec.lua.)
local engine = require "spec.unit.store.engine"
local rules = require "spec.support.rules"
local sorted = require "spec.support.sorted"

local sanitized = (os.getenv("SANITIZER") or "") ~= ""
local LONG = os.getenv "LONG" == "1"
local TIME_MS = 10
local LATE_S = sanitized and 10 or 0.5 -- twice the time is less

-- By what was measured in LuaJIT; where a name that is absent raises, a loop follows.
local CLASSES = {
  ["a loop that compiles"] = "local x = 0 for i = 1, 1e15 do x = x + i end",
  ["a timeout swallowed by pcall"] = "while true do pcall(function() while true do end end) end",
  ["a handler that loops"] =
    "xpcall(function() while true do end end, function() while true do end end)",
  ["a pcall of itself"] = "local f f = function() while true do pcall(f) end end f()",
  ["patterns"] = "pcall(function() return ('a'):rep(30):find(('a*'):rep(30) .. 'b') end) " ..
    "pcall(function() return ('a'):rep(30):match(('a*'):rep(30) .. 'b') end)",
  ["recursion through gsub"] =
    "local f f = function(s) return s:gsub('.', f) end pcall(f, 'x')",
  ["recursion through tostring and format"] = "local m = {} local t = setmetatable({}, m) " ..
    "m.__tostring = function(x) return string.format('%s', x) end " ..
    "pcall(tostring, t) pcall(string.format, '%s', t)",
  ["a sort without comparator"] = "local t = {} for i = 1, 8000 do t[i] = i % 2 == 0 and i " ..
    "or -i end while true do table.sort(t) t[1], t[8000] = t[8000], t[1] end",
  ["a comparator that loops"] = "table.sort({ 3, 2, 1 }, function() while true do end end)",
  ["few instructions that take long"] = "local s = ('x'):rep(5e5) while true do s:upper() end",
  ["inserts in front"] = "local t = {} while true do table.insert(t, 1, 1) end",
  ["memory under pcall"] = "local t = {} while true do pcall(function() " ..
    "while true do t[#t + 1] = ('x'):rep(1e4) .. #t end end) end",
  ["cdata literals"] = "local x = 1LL while true do x = x + 1LL end",
  ["errors that are no texts"] = "pcall(error, {}) pcall(error, nil) " ..
    "pcall(error, setmetatable({}, { __tostring = function() while true do end end }))",
  ["bytecode and loaders"] = "for _, f in ipairs { function() return loadstring('\\27LJ') end, " ..
    "function() return load(function() end) end, function() return require 'ffi' end } do " ..
    "if pcall(f) then ESCAPED = 1 end end",
  ["the table of texts"] = "pcall(function() getmetatable('').__index.rep = nil end) " ..
    "pcall(setmetatable, '', {})",
  ["coroutines"] = "pcall(function() local c = coroutine.wrap(function() while true do end end) " ..
    "while true do c() end end)",
  ["metamethods"] = "local t = setmetatable({}, { __index = function() while true do end end }) " ..
    "while true do pcall(function() return t.x end) end",
}

local WRAPS = {
  bare = "%s while true do end",
  ["in pcalls"] = "local function attack() %s end while true do pcall(attack) end",
  ["in xpcalls"] = "local function attack() %s end while true do xpcall(function() " ..
    "pcall(xpcall, attack, attack) end, function() pcall(attack) end) end",
}

-- A rule of another kind than the one that is tried, which works before and afterwards.
local SANE = 'tide.admit("sane", { match = \'{sane="1"}\', decide = function(s) ' ..
  's.labels.ok = "1" end })\n'

local store, folder

local function open(text)
  return assert((rules.open({ ["a.lua"] = SANE .. text }, { time_ms = TIME_MS,
    max_errors = 1000000 })))
end

local function open_store(book)
  folder = engine.folder()
  store = assert(engine.open { data_dir = folder, clock = rules.clock,
    policy = rules.C.rulebook_policy(book) })
  local scheduler = rules.scheduler(book, store, TIME_MS)
  store:push { { { __name__ = "load" }, { tonumber(rules.clock.manual_wall_ms), 1 } } }
  store:run "wait_indexed"
  return scheduler
end

local function close()
  rules.stop_schedulers()
  if store then
    store:abandon()
    engine.remove(folder)
  end
  store = nil
  rules.close_all()
end

local function errors_of(book, hook)
  for _, rule in ipairs(rules.rules(book)) do
    if rule.hook == hook and rule.title == "x" then return rule.errors, rule.last_error end
  end
end

-- Each asks its hook once, and checks the default of its kind.
local HOOKS = {}

function HOOKS.load(body)
  local before = os.clock()
  local book, problem = rules.open({ ["a.lua"] = body }, { load_ms = TIME_MS })
  local took = os.clock() - before
  assert.is_nil(book)
  assert.is_truthy(problem:find("a.lua", 1, true), problem)
  return nil, took
end

local function decides(rule, hook, ask)
  return function(body)
    local book = open(rule:format(body))
    local before = os.clock()
    ask(book)
    return book, os.clock() - before, hook
  end
end

HOOKS.retention = decides('tide.retention("x", function(series) %s end) ' ..
  'tide.retention("behind", { keep = "1h" })', "retention", function(book)
    assert.equal("forever", (rules.keep(book, { a = "1" })))
  end)
HOOKS.admit = decides('tide.admit("x", function(series) series.labels.a = nil %s end)', "admit",
  function(book)
    assert.same({ "as_is", { a = "1" }, "" }, { rules.admit(book, { a = "1" }) })
  end)
HOOKS.quarantine = decides('tide.quarantine("x", function(series, damage) %s end) ' ..
  'tide.quarantine("behind", function() return "delete" end)', "quarantine", function(book)
    assert.equal("quarantine", rules.quarantine(book, { a = "1" }))
  end)
HOOKS.downsample = decides('tide.downsample("x", { match = function(series) %s end, ' ..
  'after = "1d", every = "1h", using = "last" }) tide.downsample("behind", { after = "1d", ' ..
  'every = "1h", using = "last" })', "downsample", function(book)
    assert.same({}, rules.thin(book, { a = "1" }))
  end)
HOOKS.disk_pressure = decides('tide.disk_pressure("x", function(candidates) %s end) ' ..
  'tide.disk_pressure("behind", function(c) return c end)', "disk_pressure", function(book)
    assert.is_nil((rules.press(book, { { labels = { a = "1" }, last_ms = rules.NOW } })))
  end)
HOOKS.query = decides('tide.query("x", function(q) %s end)', "query", function(book)
  local request, status, text = rules.read(book, {})
  assert.is_nil(request)
  assert.same({ 503, 'the query rule "x" is broken, so nothing can be read' }, { status, text })
end)

-- At the console of a store: what is evaluated fails.
local function evaluates(rule, hook, line)
  return function(body)
    local book = open(rule:format(body))
    open_store(book)
    -- Commands have the console's time, rules their own.
    local console = rules.console(book, { memory_bytes = 16 * 2 ^ 20,
      time_ms = (hook == "console" or hook == "command") and TIME_MS or 0 })
    local before = os.clock()
    local outcome, shown = console:eval(hook == "console" and body or line)
    local took = os.clock() - before
    assert.equal("failed", outcome, shown)
    -- It goes on.
    assert.equal("2\n", select(2, console:eval "1 + 1"))
    console:close()
    return book, took, hook
  end
end

HOOKS.func = evaluates('tide.func("x", { args = "vector" }, function(value) %s end)', "func",
  'return tide.query "x(load)"')
HOOKS.result = evaluates('tide.result("x", { hide = { "a" }, ' ..
  'decide = function(q, series) %s end })', "result", 'return tide.query("load", { as = "user" })')
HOOKS.command = evaluates('tide.command("x", "attacks", function() %s end)', "command",
  "commands.x()")
HOOKS.console = evaluates("--%s", "console")

-- What the scheduler runs stores nothing.
local function acts(rule, hook)
  return function(body)
    local book = open(rule:format(body))
    local scheduler = open_store(book)
    rules.advance(2000)
    store:push { { { __name__ = "other" }, { tonumber(rules.clock.manual_wall_ms), 1 } } }
    store:run "wait_indexed"
    local before = os.clock()
    rules.run_due(scheduler)
    local took = os.clock() - before
    assert.same({}, store:names { { "__name__", "=", "pushed" } })
    return book, took, hook
  end
end

HOOKS.every = acts('tide.every("1s", "x", function() tide.push("pushed", {}, 1) %s end)', "every")
HOOKS.on = acts('tide.on("series_new", "x", function() tide.push("pushed", {}, 1) %s end)', "on")

describe("each class of attack", function()
  after_each(close)

  local function try(hook, class, wrap)
    local where = hook .. ": " .. class .. ", " .. wrap
    local body = WRAPS[wrap]:gsub("%%s", function() return CLASSES[class] end)
    local ok, book, took, kind = pcall(HOOKS[hook], body)
    assert(ok, where .. ": " .. tostring(type(book) == "table" and book.message or book))
    assert.is_true(took < LATE_S, where .. " took " .. took .. " s of CPU")
    if kind and kind ~= "console" and kind ~= "command" then
      local errors, text = errors_of(book, kind)
      assert.is_true(errors >= 1, where .. ": no error")
      assert.is_nil(text:find("ESCAPED", 1, true), where)
    end
    if book then assert.equal("changed", (rules.admit(book, { sane = "1" })), where) end
    close()
  end

  -- In all ways with LONG=1; else each in one way, which goes round from hook to hook.
  for h, hook in ipairs(sorted(HOOKS)) do
    it("is stopped in " .. hook, function()
      local tried = 0
      for c, class in ipairs(sorted(CLASSES)) do
        for i, wrap in ipairs(sorted(WRAPS)) do
          if LONG or (h + c) % 3 == i - 1 then
            try(hook, class, wrap)
            tried = tried + 1
          end
        end
      end
      assert.equal(#sorted(CLASSES) * (LONG and 3 or 1), tried)
    end)
  end
end)
