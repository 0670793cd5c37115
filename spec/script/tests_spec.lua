-- `tidemark test`: what operators write beside their scripts is run, and what it says is true.
local json = require "cjson"
local lfs = require "lfs"
local process = require "spec.support.process"
local rules = require "spec.support.rules"

local read = require("spec.support.file").read

local build = os.getenv("BUILD") or "build"

local scratch -- where the command makes its stores

before_each(function() scratch = process.folder "memory" end)
after_each(function()
  process.remove(scratch)
  rules.close_all()
end)

local function left_in(folder)
  local count = 0
  for name in lfs.dir(folder) do if not name:find("^%.") then count = count + 1 end end
  return count
end

-- Exit code, standard output and standard error of `tidemark test ...`; nothing may stay behind.
local function command(arguments)
  local out, problems = os.tmpname(), os.tmpname()
  local status = os.execute(("%s/tidemark test --scratch %s %s >%s 2>%s"):format(build, scratch,
    arguments, out, problems))
  local text, problem = read(out), read(problems)
  os.remove(out)
  os.remove(problems)
  assert.equal(0, left_in(scratch))
  return status / 256, text, problem
end

-- The same on a folder of files, whose name in texts becomes SCRIPTS.
local function try(files, arguments)
  local folder = rules.folder_of(files)
  local status, text, problem = command((arguments or "") .. " " .. folder)
  local pattern = folder:gsub("%p", "%%%0")
  return status, (text:gsub(pattern, "SCRIPTS")), (problem:gsub(pattern, "SCRIPTS"))
end

-- Of a file with one test of these lines: whether it passed, and its problem.
local function try_one(lines, script, arguments)
  local files = { ["a_test.lua"] = 'test("it", function()\n' .. lines .. "\nend)" }
  files["a.lua"] = script or ""
  local status, text, problem = try(files, "--json " .. (arguments or ""))
  assert.equal("", problem)
  local report = json.decode(text)
  assert.equal(1, #report.tests)
  assert.equal(status == 0, report.tests[1].passed)
  return report.tests[1].passed, report.tests[1].problem
end

local function passes(lines, script, arguments)
  local passed, problem = try_one(lines, script, arguments)
  assert.is_true(passed, problem)
end

local function fails(expected, lines, script, arguments)
  local _, problem = try_one(lines, script, arguments)
  assert.equal(expected, problem)
end

describe("tidemark test", function()
  it("says of each test how it went, and in all", function()
    local status, text, problem = try {
      ["a_test.lua"] = [[
test("is right", function() expect.equal(4, 2 + 2) end)
test("is wrong", function()
  expect.equal(5, 2 + 2, "the sum")
end)
test("is said", function() print("four", { 1 }) end)]],
      ["b_test.lua"] = 'test("is last", function() end)',
      ["b.lua"] = "",
    }
    assert.same({ 1, [[
ok    a_test.lua: is right
FAIL  a_test.lua: is wrong
      SCRIPTS/a_test.lua:3: the sum: expected 5, got 4
ok    a_test.lua: is said
      four	{
        1,
      }
ok    b_test.lua: is last
3 passed, 1 failed
]], "" }, { status, text, problem })
  end)

  it("answers 0 when all is well, and runs what the filter names only", function()
    local files = { ["a_test.lua"] = [[
      test("good one", function() end)
      test("bad one", function() error "bad" end)]] }
    assert.same({ 0, "ok    a_test.lua: good one\n1 passed, 0 failed\n", "" },
      { try(files, "--filter good") })
    assert.same({ 1, "", "tidemark: no test's name has 'better' in it\n" },
      { try(files, "--filter better") })
  end)

  it("answers in JSON", function()
    local status, text = try({ ["a_test.lua"] = [[
      test("good", function() print "hello" end)
      test("bad", function() error "so \"bad\"" end)]] }, "--json")
    local report = json.decode(text)
    assert.same({ 1, 1, 1 }, { status, report.passed, report.failed })
    assert.is_true(report.tests[1].seconds > 0)
    report.tests[1].seconds, report.tests[2].seconds = nil, nil
    assert.same({ { file = "SCRIPTS/a_test.lua", title = "good", line = 1, passed = true,
      printed = "hello\n" }, { file = "SCRIPTS/a_test.lua", title = "bad", line = 2,
      passed = false, problem = 'SCRIPTS/a_test.lua:2: so "bad"' } }, report.tests)
  end)

  it("runs one file when it is named", function()
    local folder = rules.folder_of { ["a_test.lua"] = 'test("a", function() end)',
      ["b_test.lua"] = 'test("b", function() end)' }
    assert.same({ 0, "ok    b_test.lua: b\n1 passed, 0 failed\n", "" },
      { command(folder .. "/b_test.lua") })
    assert.same({ 0, "ok    a_test.lua: a\nok    b_test.lua: b\n2 passed, 0 failed\n", "" },
      { command("--scripts " .. folder .. "/") })
  end)

  it("knows a wrong use", function()
    for _, arguments in ipairs { "--colour x", "a b", "--time-limit soon x", "--time-limit 0 x", "",
      "--json=1 x",
      "--scratch" } do
      local status, text, problem = command(arguments)
      assert.same({ 2, "" }, { status, text })
      assert.truthy(problem:find("usage: tidemark test [--config FILE]", 1, true), problem)
    end
    assert.truthy(select(3, command "--scratch /nowhere/at/all scripts"):find("tidemark: cannot " ..
      "make a scratch folder (/nowhere/at/all/", 1, true))
    local status, _, problem = command "/nowhere/at/all"
    assert.equal(1, status)
    assert.truthy(problem:find("cannot read the scripts in /nowhere/at/all: No such file", 1, true))
    assert.same({ 1, "", "tidemark: SCRIPTS: there is no *_test.lua\n" },
      { try { ["a.lua"] = "" } })
  end)

  it("tells scripts and tests that do not load, with file and line", function()
    assert.same({ 1, "", "tidemark: SCRIPTS/a.lua:2: unknown name 'tide.retain'\n" }, { try {
      ["a.lua"] = "\ntide.retain 'x'", ["a_test.lua"] = 'test("a", function() end)' } })
    assert.same({ 1, [[
FAIL  a_test.lua
      SCRIPTS/a_test.lua:2: tide.retention: x
FAIL  b_test.lua
      SCRIPTS/b_test.lua:1: '=' expected near '<eof>'
FAIL  c_test.lua
      SCRIPTS/c_test.lua:2: test: the title "c" is taken by line 1
FAIL  d_test.lua
      SCRIPTS/d_test.lua: ran longer than its time limit
FAIL  e_test.lua
      SCRIPTS/e_test.lua:1: push: only within a test: test("title", function() ... end)
FAIL  f_test.lua: f
      SCRIPTS: there is no script 'gone'
0 passed, 6 failed
]], "" }, { try {
      ["a_test.lua"] = "\nerror 'tide.retention: x'",
      ["b_test.lua"] = "test",
      ["c_test.lua"] = 'test("c", function() end)\ntest("c", function() end)',
      ["d_test.lua"] = "while true do end",
      ["e_test.lua"] = "push('up', 1)",
      ["f_test.lua"] = 'scripts "gone"\ntest("f", function() end)',
    } })
  end)

  it("ends what does not end and what wants too much, and goes on", function()
    local status, text = try({ ["a_test.lua"] = [[
test("for ever", function()
  while true do pcall(function() while true do end end) end
end)
test("too long", function() feed("a", { every = "1ms" }) advance "1000d" end)
test("too large", function()
  local list = {}
  for i = 1, 1e9 do list[i] = ("x"):rep(1000) .. i end
end)
test("too deep", function() local function f() return 1 + f() end f() end)
test("no text", function() error { 1 } end)
test("after that", function() push("up", 1) expect.equal({ up = 1 }, values "up") end)]] },
      "--time-limit 1")
    assert.equal(1, status)
    assert.truthy(text:find("\n1 passed, 5 failed\n", 1, true), text)
    for _, line in ipairs {
      "FAIL  a_test.lua: for ever\n      SCRIPTS/a_test.lua:1: ran longer than 1 s (--time-",
      "FAIL  a_test.lua: too long\n      SCRIPTS/a_test.lua:4: ran longer than 1 s (--time-",
      "FAIL  a_test.lua: too large\n      SCRIPTS/a_test.lua:5: used more than its 65536 KiB",
      "FAIL  a_test.lua: too deep\n      SCRIPTS/a_test.lua:9: stack overflow",
      "FAIL  a_test.lua: no text\n      SCRIPTS/a_test.lua:10: error: {\n        1,\n      }\n",
      "ok    a_test.lua: after that\n",
    } do
      assert.truthy(text:find(line, 1, true), line .. text)
    end
  end)

  it("clears away after Ctrl-C", function()
    local folder = rules.folder_of {
      ["a_test.lua"] = 'test("a", function() while true do end end)' }
    local log = os.tmpname()
    local running = process.start({ build .. "/tidemark", "test", "--scratch", scratch,
      "--time-limit", "600", folder }, log)
    process.wait_for("the store", 20, function()
      local found
      for name in lfs.dir(scratch) do
        found = found or name:find("^tidemark") and
          lfs.attributes(scratch .. "/" .. name .. "/0/VERSION")
      end
      return found
    end)
    assert.equal(130, running:stop(2))
    assert.equal(0, left_in(scratch))
    os.remove(log)
  end)
end)

describe("a test of rules", function()
  it("has a store, rules and a time of its own", function()
    local status, text = try {
      ["a.lua"] = [[
        tide.admit("count", function(series)
          tide.shared.incr "seen"
          series.labels.seen = "yes"
        end)]],
      ["a_test.lua"] = [[
        for i = 1, 3 do
          test("fresh " .. i, function()
            expect.equal(0, #series "up")
            expect.equal(nil, tide.shared.get "seen")
            expect.equal(1767225600, tide.now())
            push("up", 1)
            expect.equal({ ['up{seen="yes"}'] = 1 }, values "up")
            expect.equal(1, tide.shared.get "seen")
            advance "1h"
            expect.equal(1767229200, tide.now())
          end)
        end]],
    }
    assert.equal(0, status, text)
  end)

  it("sees retention over simulated months", function()
    passes([[
      samples('up{team="lab"}', { from = "2h" })
      samples('up{team="pay"}', { from = "2h" })
      samples('up{team="web"}', { from = "2h" })
      local function teams()
        return table.concat(tide.store.label_values("team", "up"), " ")
      end
      expect.equal("lab pay web", teams())
      advance "6d"
      expect.equal("lab pay web", teams())
      advance "2d"
      expect.equal("pay web", teams())
      advance "81d"
      expect.equal("pay web", teams())
      advance "2d"
      expect.equal("pay", teams())
      advance "308d"
      expect.equal("pay", teams())
      advance "2d"
      expect.equal("", teams())]],
      [[tide.retention("by team", function(series)
        return ({ pay = "400d", lab = "7d" })[series.labels.team]
      end)]], "--retention 90d")
    fails("SCRIPTS/a_test.lua:4: expected 1, got 0",
      "samples('up', { from = '2h' })\nadvance '20d'\n" .. 'expect.equal(1, #series "up")')
  end)

  it("sees what admission, transforms and limits say of a sample", function()
    passes([[
      expect.equal({ stored = true }, push('up{job="a"}', 1))
      local answer = push('up{env="dev"}', 1)
      expect.equal({ stored = false, reason = "policy",
        text = 'dropped by the rule "no dev": development' }, answer)
      expect.equal("policy", push('up{job="a"}', 0 / 0, tide.now() + 1).reason)
      expect.truthy(push({ __name__ = "up", job = "b" }, 1).stored)
      local full = push('up{job="c"}', 1)
      expect.equal("series_limit", full.reason)
      expect.contains("few", full.text)
      expect.equal("too_far_in_future", push('up{job="a"}', 1, tide.now() + 3600).reason)
      expect.equal({ ['up{job="a"}'] = 2, ['up{job="b"}'] = 2 }, values "up")
      tide.push("up", { job = "a" }, 7)
      expect.equal(14, values 'up{job="a"}' ['up{job="a"}'])
      tide.import("up", { job = "b" }, { tide.now() - 86400 }, { 4 })
      expect.equal(8, values('up{job="b"}', { time = tide.now() - 86400 })['up{job="b"}'])]],
      [[tide.admit("no dev", function(series)
        if series.labels.env == "dev" then return tide.drop "development" end
      end)
      tide.transform("twice", { match = "up", scale = 2, drop_nan = true })
      tide.limit("few", { series = 2 })]])
  end)

  it("sees alerts, and what webhooks would get; nothing is sent", function()
    local listener = assert(require("socket").bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    finally(function() listener:close() end)
    passes([[
      local down = feed('up{job="a"}', { every = "15s", value = 0 })
      advance "1m"
      expect.equal({ "pending", "Down", 0 }, { alerts()[1].state, alerts()[1].rule, #told() })
      advance "75s"
      local told_at = told()[1]
      expect.equal({ "firing", 1 }, { alerts()[1].state, #told() })
      expect.equal({ status = "firing", value = 0, time = told_at.time,
        labels = { alertname = "Down", job = "a", severity = "page" },
        annotations = { summary = "a is down" } }, told_at)
      expect.near(120, told_at.time - alerts()[1].since, 15)
      expect.equal({ ['ALERTS{alertname="Down",alertstate="firing",job="a",severity="page"}'] = 1 },
        values "ALERTS")
      down.stop()
      feed('up{job="a"}', { every = "15s", value = 1 })
      advance "30s"
      expect.equal({}, alerts())
      expect.equal("resolved", told()[#told()].status)]],
      [[tide.alert("Down", { expr = "up == 0", every = "15s", hold = "2m",
        labels = { severity = "page" },
        annotations = { summary = "{{ $labels.job }} is down" } })]],
      "--set alerts.webhooks=http://127.0.0.1:" .. port .. "/")
    listener:settimeout(0)
    assert.is_nil((listener:accept()))
  end)

  it("runs timers once a day in a long advance", function()
    passes([[
      feed("up", { every = "1h", value = 0 })
      advance "6d"
      expect.near(6 * 24 * 60, tide.shared.get "looks", 1)
      tide.shared.set("looks", 0)
      advance "365d"
      expect.near(365, tide.shared.get "looks", 1)
      expect.equal("firing", alerts()[1].state)]],
      [[tide.every("1m", "look", function() tide.shared.incr "looks" end)
      tide.alert("Down", { expr = "up == 0", every = "15s", hold = "2m" })]],
      "--time-limit 60")
  end)

  it("sees timers, recorded series, events and the log", function()
    passes([[
      feed('load{job="a"}', { every = "15s", value = 3 })
      feed('load{job="b"}', { every = "15s", value = 4 })
      advance "10m"
      expect.equal({ total = 7 }, values "total")
      expect.near(20, values "count_over_time(total[10m])" ["{}"], 1)
      expect.equal(10, tide.shared.get "minutes")
      local log = logged()
      expect.equal({ "warn", "a", "b" }, { log[1].level, log[1].text, log[2].text })
      local new = events "series_new"
      expect.equal({ "load", "a", tide.now() - 600 },
        { new[1].labels.__name__, new[1].labels.job, new[1].time })
      expect.equal(3, #new)
      expect.equal(0, #events "series_gone")
      advance "20d"
      expect.equal(0, #events "damage")]],
      [[tide.record("total", { expr = "sum(load)", every = "30s" })
      tide.every("1m", "minutes", function() tide.shared.incr "minutes" end)
      tide.on("series_new", "tell", function(event)
        if event.labels.__name__ == "load" then tide.log.warn(event.labels.job) end
      end)]])
  end)

  it("sees reads as rules shape them", function()
    passes([[
      push('up{tenant="web", mail="ann"}', 1)
      push('up{tenant="db", mail="bob"}', 1)
      expect.equal(2, #query "up")
      expect.equal({ ['up{mail="***",tenant="web"}'] = 1 },
        values("up", { user = "u", tenant = "web" }))
      local answer, text, status = query("up", { user = "eve" })
      expect.equal({ 403, true }, { status, answer == nil })
      expect.contains("who are you", text)
      local read = shape { kind = "query_range", query = "rate(up[5m])", tenant = "web",
        from = 0, to = 86400, step = 15 }
      expect.equal({ 60, { 'tenant="web"' } }, { read.step, read.restrictions })
      local none, code, why = shape { kind = "export" }
      expect.equal({ true, 403 }, { none == nil, code })
      expect.contains("who are you", why)
      expect.fails("no kind of read: 'dream'", function() shape { kind = "dream" } end)]],
      [[tide.query("own", function(q)
        if not q.tenant then return tide.refuse(403, "who are you") end
        q:restrict { tenant = q.tenant }
        q.step = 60
      end)
      tide.result("mask", { hide = { "mail" }, decide = function(_, series)
        series.labels.mail = "***"
      end })]])
  end)

  it("sees old samples thinned out", function()
    passes([[
      local begin = tide.now()
      local one = feed("celsius", { every = "1m" })
      advance "1d"
      one.stop()
      local function count() return #query("celsius[1d]", { time = begin + 86400 })[1].values end
      expect.equal(1440, count())
      advance "40d"
      expect.near(144, count(), 10)]],
      [[tide.downsample("old", { after = "30d", every = "10m", using = "avg" })]],
      "--retention 90d")
  end)

  it("fails when a rule does, unless it asks for that", function()
    local broken = [[tide.admit("broken", function(series)
      if series.labels.job == "a" then error "oh" end
    end)]]
    fails('admit rule "broken" (SCRIPTS/a.lua:1): SCRIPTS/a.lua:2: oh', "push('up{job=\"a\"}', 1)",
      broken)
    passes([[
      expect.truthy(push('up{job="a"}', 1).stored)
      local errors = rule_errors()
      expect.equal({ 1, "admit", "broken" }, { #errors, errors[1].hook, errors[1].title })
      expect.contains("oh", errors[1].text)
      expect.equal({}, rule_errors())]], broken)
  end)

  it("sees what no rule waits for, and more series than the queue holds", function()
    passes([[
      for i = 1, 4500 do push({ __name__ = "up", i = i .. "" }, 1) end
      expect.equal("few", events("limit_soft")[1].text)
      expect.equal(4500, tide.shared.get "new")
      advance "16d"
      local gone = events "series_gone"
      expect.truthy(#gone >= 4000) -- the queue holds 4096
      expect.equal("up", gone[1].labels.__name__)]],
      [[tide.limit("few", { series = 5000 })
      tide.on("series_new", "count", function(event)
        if event.labels.__name__ == "up" then tide.shared.incr "new" end
      end)]], "--time-limit 60")
  end)

  it("ends rules that do not end, as a server would", function()
    fails('admit rule "loop" (SCRIPTS/a.lua:1): ran longer than its time limit',
      "expect.truthy(push('up', 1).stored)",
      'tide.admit("loop", function() while true do end end)')
    passes([[
      for i = 1, 12 do push('up{i="' .. i .. '"}', 1) end
      expect.equal(10, tide.shared.get "asked")
      expect.contains("is suspended", tide.server.trace("up")[1].verdict)
      expect.equal(1, #rule_errors())]],
      [[tide.admit("bad", function()
        tide.shared.incr "asked"
        error "bad"
      end)]])
  end)

  it("says what was expected and what there is", function()
    for lines, expected in pairs {
      ["expect.near(1, 1.5, 0.1)"] = "expected 1 within 0.1, got 1.5",
      ["expect.near(1, nil, 0.1)"] = "expected 1 within 0.1, got nil",
      ["expect.truthy(nil)"] = "expected something, got nil",
      ["expect.falsy(0, 'zero')"] = "zero: expected nothing, got 0",
      ["expect.contains('b', 'ac')"] = 'expected a text with "b" in it, got "ac"',
      ["expect.fails('b', function() end)"] = 'expected an error with "b" in it, got none',
      ["expect.equal({ 1 }, { 1, 2 })"] =
        "expected {\n  1,\n}, got {\n  1,\n  2,\n}",
      ["expect.equal('a', nil)"] = 'expected "a", got nil',
      ["advance(1e300)"] = "advance: at most a hundred years",
      ["push('up', 1, 1 / 0)"] = "not a time: seconds since 1970, please",
      ["advance 'soon'"] = 'advance: not a duration (try "30d")',
      ["push('up{a=~\"b\"}', 1)"] = "push: a series has labels, not matchers: only =",
      ["feed('up', { evry = 1 })"] = "feed: unknown option evry",
      ["tide.retention('x', { keep = '1d' })"] =
        "rules are registered while scripts load, not later",
      ["query 'sum('"] = "query: 1:5: parse error: unclosed left parenthesis",
    } do
      local _, problem = try_one(lines)
      assert.equal("SCRIPTS/a_test.lua:2: ", problem:sub(1, 22), problem)
      assert.equal(expected, problem:sub(23))
    end
    passes "expect.equal(0 / 0, 0 / 0) expect.equal({ a = { 1 } }, { a = { 1 } })"
  end)

  it("is no rule: scripts, check and reload pass it over", function()
    local book = assert(rules.open { ["a.lua"] = "", ["a_test.lua"] = "this is no Lua" })
    assert.same({}, rules.rules(book))
    local folder = rules.folder_of { ["a.lua"] = "", ["a_test.lua"] = "this is no Lua" }
    assert.equal(0, os.execute(build .. "/tidemark check --scripts " .. folder .. " >/dev/null"))
  end)

  it("may use the library, and the scripts that it names only", function()
    local status, text = try {
      ["lib/teams.lua"] = "return { lab = true }",
      ["a.lua"] = 'local teams = require "teams"\ntide.admit("a", function() return nil end)',
      ["b.lua"] = 'tide.admit("b", function() return tide.drop "all" end)',
      ["a_test.lua"] = [[
        scripts "a"
        local teams = require "teams"
        test("a", function()
          expect.truthy(teams.lab)
          expect.truthy(push("up", 1).stored)
        end)]],
      ["all_test.lua"] = 'test("b", function() expect.falsy(push("up", 1).stored) end)',
    }
    assert.equal(0, status, text)
  end)
end)

describe("the tests of scripts/", function()
  it("pass", function()
    local status, text, problem = command "scripts"
    assert.same({ 0, "" }, { status, problem }, text)
    assert.equal("0 failed", text:match("(%d+ failed)\n$"))
    assert.is_true(tonumber(text:match("(%d+) passed")) >= 15)
  end)
end)
