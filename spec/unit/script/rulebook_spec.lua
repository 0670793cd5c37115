-- Operator scripts through the policy that the store asks: answers, order, failures, reload.
local ffi = require "ffi"
local rules_support = require "spec.support.rules"
local tide = require "spec.support.tide"
local C = rules_support.C

local FOREVER, DEFAULT, NOW = rules_support.FOREVER, rules_support.DEFAULT, rules_support.NOW
local open, write, folder_of, reload = rules_support.open, rules_support.write,
  rules_support.folder_of, rules_support.reload
local keep, admit, quarantine, rules = rules_support.keep, rules_support.admit,
  rules_support.quarantine, rules_support.rules

after_each(rules_support.close_all)

describe("without scripts", function()
  it("the configuration decides", function()
    local book = open ""
    assert.same({ "default", "always" }, { keep(book, { a = "b" }) })
    assert.same({ "as_is", { a = "b" }, "" }, { admit(book, { a = "b" }) })
    assert.equal("quarantine", quarantine(book, { a = "b" }))
    assert.same({}, rules(book))
  end)

  it("a folder that is not there refuses to open", function()
    local book, problem = open "/nonexistent/scripts"
    assert.is_nil(book)
    assert.equal("cannot read the scripts in SCRIPTS: No such file or directory", problem)
  end)
end)

describe("retention", function()
  it("is the first answer, in order of files and rules", function()
    local book = open {
      ["20.lua"] = 'tide.retention("last", { keep = "9d" })',
      ["10.lua"] = [[
        tide.retention("debug", { match = '{__name__=~"debug_.+"}', keep = "2d" })
        tide.retention("by team", function(series)
          return ({ payments = "400d", lab = "7d", zoo = "forever" })[series.labels.team]
        end)
        tide.retention("seconds", { match = '{team="x",dc!~"a|b"}',
          keep = function() return 86400 * 3 end })]],
      ["notes.txt"] = "not a script",
    }
    assert.equal(2, keep(book, { __name__ = "debug_x", team = "payments" }))
    assert.equal(400, keep(book, { __name__ = "up", team = "payments" }))
    assert.equal(7, keep(book, { team = "lab" }))
    assert.equal("forever", keep(book, { team = "zoo" }))
    assert.equal(3, keep(book, { team = "x", dc = "c" }))
    assert.equal(9, keep(book, { team = "x", dc = "a" }))
    assert.equal(9, keep(book, { __name__ = "debug" }))
  end)

  it("holds for ever if only labels were read, else for an hour, or as said", function()
    local book = open { ["a.lua"] = [[
      tide.retention("labels", function(series) if series.labels.a == "1" then return "1d" end end)
      tide.retention("last", function(series)
        if series.labels.a == "2" and tide.ago(series.last) > 60 then return "2d" end
      end)
      tide.retention("said", { match = '{a="3"}', keep = function() return "3d", "10m" end })
      tide.retention("size", { match = '{a="4"}', keep = function(series)
        if series.bytes > 1000 and series.chunks == 7 and not series.archived then
          return tide.days(4), tide.hours(5)
        end
      end })]] }
    assert.same({ 1, "always" }, { keep(book, { a = "1" }) })
    assert.same({ 2, 3600 }, { keep(book, { a = "2" }, { last_ms = NOW - 61000 }) })
    assert.same({ "default", 3600 }, { keep(book, { a = "2" }) })
    assert.same({ 3, 600 }, { keep(book, { a = "3" }) })
    assert.same({ 4, 18000 }, { keep(book, { a = "4" }) })
    assert.same({ "default", "always" }, { keep(book, { a = "5" }) })
  end)

  it("keeps everything when a rule is broken, whatever comes after it", function()
    local cases = {
      ["raises"] = 'error("no")',
      ["nil index"] = "return series.labels.team.x",
      ["unknown field"] = "return series.team",
      ["no duration"] = 'return "15x"',
      ["zero"] = "return 0",
      ["negative"] = "return -5",
      ["nan"] = "return 0/0",
      ["table"] = "return {}",
      ["boolean"] = "return false",
      ["cdata"] = "return 1LL",
      ["validity"] = 'return "1d", "soon"',
      ["endless"] = "while true do end",
      ["memory"] = "local t = {} while true do t[#t + 1] = {} end",
      ["set"] = 'series.labels.a = "x"',
    }
    for name, body in pairs(cases) do
      local book = open({ ["a.lua"] = 'tide.retention("broken", function(series) ' .. body ..
        ' end) tide.retention("rest", { keep = "1d" })' }, { time_ms = 20 })
      assert.equal("forever", (keep(book, { a = "1" })), name)
      assert.equal(1, rules(book)[1].errors, name)
    end
  end)

  it("knows durations without end and times of the ends of time", function()
    local book = open { ["a.lua"] = [[
      tide.retention("a", function(series)
        if series.first == nil and series.last == nil then return math.huge end
      end)]] }
    assert.equal("forever", keep(book, { a = "1" },
      { first_ms = DEFAULT, last_ms = FOREVER }))
  end)

  it("is answered while its scripts run in another rule's shadow", function()
    local book = open { ["a.lua"] = [[
      local kept
      tide.retention("leak", function(series) kept = series end)
      tide.retention("use", function() return kept.labels.a end)]] }
    assert.equal(5, keep(book, { a = "5d" }))
    assert.equal(6, keep(book, { a = "6d" }))
  end)
end)

describe("admission", function()
  it("changes, adds and removes labels", function()
    local book = open { ["a.lua"] = [[
      tide.admit("relabel", function(series)
        local labels = series.labels
        labels.pod_ip = nil
        labels.env = (labels.env or "none"):upper()
        labels["metric.kind"] = tide.replace(labels.__name__, "(.+)_(total|sum)", "$2")
        labels.gone = ""
      end)]] }
    assert.same(
      { "changed", { __name__ = "x_total", env = "PROD", ["metric.kind"] = "total" }, "" },
      { admit(book, { __name__ = "x_total", env = "prod", pod_ip = "10.0.0.1", gone = "1" }) })
    assert.same({ "changed", { __name__ = "up", env = "NONE" }, "" },
      { admit(book, { __name__ = "up" }) })
  end)

  it("drops with title and reason, and asks nobody after", function()
    local book = open { ["a.lua"] = [[
      tide.admit("no dev", function(series)
        if series.labels.env == "dev" then return tide.drop "development" end
      end)
      tide.admit("all", { match = '{a="b"}', decide = function(s) s.labels.seen = "yes" end })]] }
    assert.same({ "drop", { env = "dev", a = "b" }, 'dropped by the rule "no dev": development' },
      { admit(book, { env = "dev", a = "b" }) })
    assert.same({ "changed", { a = "b", seen = "yes" }, "" }, { admit(book, { a = "b" }) })
    assert.same({ "as_is", { a = "c" }, "" }, { admit(book, { a = "c" }) })
    assert.equal(1, rules(book)[2].calls)
  end)

  it("lets later rules match what earlier ones set", function()
    local book = open { ["a.lua"] = [[
      tide.admit("one", function(s) s.labels.team = "a" end)
      tide.admit("two", { match = '{team="a"}', decide = function(s) s.labels.team = "b" end })]] }
    assert.same({ "changed", { team = "b" }, "" }, { admit(book, { team = "x" }) })
  end)

  it("takes back what a broken rule did, and goes on", function()
    for _, body in ipairs { 'error("no")', "return 1", "return {}", "return { reason = 'x' }",
      "return setmetatable({ reason = 'x' }, {})", "while true do end",
      "for name in tide.pairs(s.labels) do s.labels[name] = nil end for i = 1, 9 do " ..
      "for name in tide.pairs(s.labels) do s.labels[name] = nil end end",
      "s.labels.x = 5", "s.labels.x = '\\255'", "s.labels[1] = 'x'", "s.labels[''] = 'x'",
      "s.labels.x = ('x'):rep(70000)", "s.other = 1", "return s.last" } do
      local book = open({ ["a.lua"] = [[
        tide.admit("first", function(s) s.labels.first = "1" end)
        tide.admit("broken", function(s) s.labels.a = nil s.labels.b = "2" ]] .. body .. [[ end)
        tide.admit("third", function(s) s.labels.third = s.labels.a end)]] }, { time_ms = 20 })
      assert.same({ "changed", { a = "1", first = "1", third = "1" }, "" },
        { admit(book, { a = "1" }) }, body)
      assert.equal(1, rules(book)[2].errors, body)
    end
  end)

  it("walks labels", function()
    local book = open { ["a.lua"] = [[
      tide.admit("count", function(s)
        local n = 0
        for name, value in tide.pairs(s.labels) do n = n + #name + #value end
        s.labels.n = tostring(n)
      end)]] }
    local _, after = admit(book, { aa = "bb", c = "ddd" })
    assert.equal("8", after.n)
  end)
end)

describe("quarantine", function()
  local script = { ["a.lua"] = [[
    tide.quarantine("counters", { match = '{__name__=~".+_total"}',
      decide = function() return "salvage" end })
    tide.quarantine("scratch", function(series, damage)
      if series.labels.tmp and damage.chunks_bad > 0 and damage.offset == 1024 and
        damage.chunks_sound == 6 and damage.file == "ab/cdef.db" and
        damage.text == "bad header" then
        return "delete"
      end
    end)
    tide.quarantine("wrong", { match = '{wrong!=""}', decide = function() return "forget" end })]] }

  it("is the first answer, and quarantine without one", function()
    local book = open(script)
    assert.equal("salvage", quarantine(book, { __name__ = "x_total", tmp = "1" }))
    assert.equal("delete", quarantine(book, { __name__ = "x", tmp = "1" }))
    assert.equal("quarantine", quarantine(book, { __name__ = "x" }))
    assert.equal("quarantine", quarantine(book, nil))
  end)

  it("is quarantine when a rule is broken", function()
    local book, folder = open(script)
    assert.equal("quarantine", quarantine(book, { wrong = "1" }))
    assert.equal('quarantine rule "wrong" (' .. folder .. "/a.lua:10): answered forget, not " ..
      '"quarantine", "salvage" or "delete"', rules(book)[3].last_error)
  end)
end)

describe("a rule", function()
  it("is suspended after so many errors in a row, until the next reload", function()
    local book, folder = open({ ["a.lua"] = [[
      tide.retention("flaky", function(series)
        if series.labels.a == "bad" then error("bad") end
        return "1d"
      end)
      tide.admit("flaky", function() error("x") end)
      tide.quarantine("flaky", function() error("x") end)]] }, { max_errors = 3 })
    for _ = 1, 2 do keep(book, { a = "bad" }) end
    assert.equal(1, keep(book, { a = "good" }))
    for _ = 1, 2 do keep(book, { a = "bad" }) end
    assert.is_false(rules(book)[1].suspended)
    assert.same({ "forever", "always" }, { keep(book, { a = "bad" }) })
    assert.is_true(rules(book)[1].suspended)
    local calls = rules(book)[1].calls
    assert.same({ "forever", "always" }, { keep(book, { a = "good" }) })
    assert.equal(calls, rules(book)[1].calls)
    for _ = 1, 5 do
      assert.same({ "as_is", { a = "1" }, "" }, { admit(book, { a = "1" }) })
      assert.equal("quarantine", quarantine(book, { a = "1" }))
    end
    assert.equal(3, rules(book)[2].calls)
    assert.equal(3, rules(book)[3].calls)
    write(folder, { ["a.lua"] = 'tide.retention("flaky", { keep = "3d" })' })
    assert.is_true(reload(book))
    assert.equal(3, keep(book, { a = "bad" }))
    assert.equal(1, #rules(book))
  end)

  it("has errors with script, line and title", function()
    local book, folder = open { ["team.lua"] = [[

      local teams = require "teams"
      tide.retention("by team", function(series)
        return teams.of(series)
      end)]], ["lib/teams.lua"] = [[
      local teams = {}
      function teams.of(series)

        return series.labels.team .. "d"
      end
      return teams]] }
    keep(book, { a = "1" })
    assert.equal('retention rule "by team" (' .. folder .. "/team.lua:3): " .. folder ..
      "/lib/teams.lua:4: attempt to concatenate field 'team' (a nil value)",
      rules(book)[1].last_error)
    assert.equal(8, keep(book, { team = "8" }))
  end)

  it("is counted in the metrics", function()
    local metrics = ffi.gc(C.metrics_new(), C.metrics_free)
    local book, folder = open({ ["a.lua"] = [[
      tide.retention('the "first"', function(s) return s.labels.a end)]] }, { metrics = metrics })
    keep(book, { a = "1d" })
    keep(book, { a = "x" })
    write(folder, { ["b.lua"] = 'tide.admit("b", function() end)' })
    assert.is_true(reload(book))
    keep(book, { a = "2d" })
    local buf = ffi.new("struct buf")
    C.metrics_write(metrics, buf)
    local text = ffi.string(buf.data, buf.len)
    C.buf_destroy(buf)
    local function has(line) assert.is_truthy(text:find(line, 1, true), line .. "\n" .. text) end
    has('tidemark_rule_calls_total{hook="retention",rule="the \\"first\\""} 3\n')
    has('tidemark_rule_errors_total{hook="retention",rule="the \\"first\\""} 1\n')
    has('tidemark_rule_calls_total{hook="admit",rule="b"} 0\n')
  end)
end)

describe("a counter of a script", function()
  it("is on /metrics, adds up over threads' states and reloads, and is bounded", function()
    local metrics = ffi.gc(C.metrics_new(), C.metrics_free)
    local script = [[
      local seen = tide.metric.counter("seen_total", { "team", "why" }, "Series\nseen.")
      local plain = tide.metric.counter "plain_total"
      tide.admit("count", function(s)
        seen:add(s.labels.team or "none", 'a "q" \\ \n', 2)
        plain:add()
      end)
      tide.admit("bad", { match = '{bad="1"}', decide = function() plain:add(-1) end })
      tide.admit("flood", { match = '{bad="2"}', decide = function()
        for i = 1, 2000 do seen:add("t" .. i, "x") end
      end })]]
    local book = open({ ["a.lua"] = script }, { metrics = metrics })
    admit(book, { team = "web" })
    assert.is_true(reload(book))
    admit(book, { team = "web", bad = "1" })
    local buf = ffi.new("struct buf")
    C.metrics_write(metrics, buf)
    local text = ffi.string(buf.data, buf.len)
    C.buf_destroy(buf)
    local line = 'tidemark_script_seen_total{team="web",why="a \\"q\\" \\\\ \\n"} 4\n'
    assert.is_truthy(text:find(line, 1, true), text)
    assert.is_truthy(text:find("# HELP tidemark_script_seen_total Series seen.\n", 1, true), text)
    assert.is_truthy(text:find("tidemark_script_plain_total 2\n", 1, true), text)
    assert.is_truthy(rules(book)[2].last_error:find("a whole number", 1, true))
    admit(book, { bad = "2" })
    assert.is_truthy(rules(book)[3].last_error:find("over 1000 counters", 1, true))
  end)
end)

describe("loading", function()
  local refused = {
    { "tide.retention(", "SCRIPTS/a.lua:1: unexpected symbol near '<eof>'" },
    { "\ntide.retain('x')", "SCRIPTS/a.lua:2: unknown name 'tide.retain'" },
    { "tide.retention('x')", "SCRIPTS/a.lua:1: tide.retention: the second argument is a " ..
      "function or { match = ..., keep = ... }" },
    { "tide.retention({})", "SCRIPTS/a.lua:1: tide.retention: the second argument is a function " ..
      "or { match = ..., keep = ... }" },
    { "tide.retention(5, function() end)", "SCRIPTS/a.lua:1: tide.retention: the first argument " ..
      "is the rule's title, a text" },
    { "tide.retention('x', { match = 'up', keep = '15x' })",
      'SCRIPTS/a.lua:1: tide.retention: keep: not a duration (try "15d" or "forever")' },
    { "tide.retention('x', { match = 'up', keep = 0 })",
      'SCRIPTS/a.lua:1: tide.retention: keep: not a duration (try "15d" or "forever")' },
    { "tide.retention('x', { macth = 'up', keep = '1d' })",
      "SCRIPTS/a.lua:1: tide.retention: unknown option macth (did you mean match?)" },
    { "tide.retention('x', { match = '{a=1}', keep = '1d' })",
      "SCRIPTS/a.lua:1: tide.retention: match: at character 2: a text in quotes is missing" },
    { "tide.retention('x', { match = '{a=~\"(\"}', keep = '1d' })",
      "SCRIPTS/a.lua:1: tide.retention: match: " },
    { "tide.retention('x', { match = 7, keep = '1d' })",
      "SCRIPTS/a.lua:1: tide.retention: match: not a text but a number" },
    { "tide.admit('x', { match = 'up', decide = 7 })",
      "SCRIPTS/a.lua:1: tide.admit: decide: not a function" },
    { "tide.admit('x', function() end)\ntide.admit('x', function() end)",
      'SCRIPTS/a.lua:2: tide.admit: the title "x" is taken by SCRIPTS/a.lua:1' },
    { "tide.x = 1", "SCRIPTS/a.lua:1: cannot set tide.x: read-only" },
    { "tide = nil", "SCRIPTS/a.lua:1: cannot set the global 'tide': write local in front of it" },
    { "require 'nothing'", "SCRIPTS/a.lua:1: require: there is no lib/nothing.lua" },
    { "require 'tidemark.env'", "SCRIPTS/a.lua:1: require: there is no lib/tidemark.env.lua" },
    { "require 'self'", "SCRIPTS/lib/self.lua:1: require: self requires itself" },
    { "local t = {} while true do t[#t + 1] = {} end",
      "SCRIPTS/a.lua: used more than its 16384 KiB of memory" },
    { "while true do pcall(error) end", "SCRIPTS/a.lua: ran longer than its time limit" },
    { "tide.push('x', {}, 1)", "SCRIPTS/a.lua:1: tide.push: only in timers, events, commands and" },
    { "tide.query 'up'", "SCRIPTS/a.lua:1: tide.query: only in timers, events, commands and the " },
    { "tide.delete '{a=\"1\"}'", "SCRIPTS/a.lua:1: tide.delete: only in timers, events, commands" },
    { "error({})", "raised an error that is no text but a table" },
  }
  for i, case in ipairs(refused) do
    it("is refused in case " .. i .. ": " .. case[2], function()
      local book, problem = open { ["a.lua"] = case[1], ["lib/self.lua"] = "require 'self'" }
      assert.is_nil(book)
      assert.equal(case[2], problem:sub(1, #case[2]))
    end)
  end

  it("registers nothing later", function()
    local book = open { ["a.lua"] = [[
      tide.retention("x", function()
        tide.retention("y", { keep = "1d" })
        return "1d"
      end)]] }
    assert.equal("forever", keep(book, { a = "1" }))
    assert.is_truthy(rules(book)[1].last_error:find(
      "a.lua:2: rules are registered while scripts load, not later", 1, true))
  end)

  it("shares modules among the files, each once", function()
    local book = open { ["a.lua"] = 'local m = require "m" m.n = m.n + 1',
      ["b.lua"] = 'local m = require "m" m.n = m.n + 1 local t = require "tidemark" ' ..
        't.retention("n", function() return m.n .. "d" end)',
      ["lib/m.lua"] = "return { n = 5 }" }
    assert.equal(7, keep(book, { a = "1" }))
  end)

  it("costs at most 1 MiB a state at rest", function()
    -- The limit holds for the state with everything loaded.
    local book, problem = open({ ["a.lua"] = 'tide.retention("a", function() return "2d" end)' },
      { memory_bytes = 1024 * 1024 })
    assert.is_truthy(book, problem)
    assert.equal(2, keep(book, { a = "1" }))
  end)
end)

describe("reload", function()
  it("swaps all scripts or none", function()
    local book, folder = open { ["a.lua"] = 'tide.retention("a", { keep = "1d" })',
      ["b.lua"] = 'tide.admit("b", function(s) s.labels.b = "1" end)' }
    local policy = C.rulebook_policy(book)
    assert.equal(1, tonumber(policy.version(policy.ctx)))
    write(folder, { ["a.lua"] = 'tide.retention("a", { keep = "2d" })', ["b.lua"] = "oops" })
    local ok, problem = reload(book)
    assert.is_false(ok)
    assert.equal(folder .. "/b.lua:1: '=' expected near '<eof>'", problem)
    assert.equal(1, tonumber(policy.version(policy.ctx)))
    assert.equal(1, keep(book, { a = "1" }))
    assert.equal("changed", admit(book, { a = "1" }))
    write(folder, { ["b.lua"] = "" })
    assert.is_true(reload(book))
    assert.equal(2, tonumber(policy.version(policy.ctx)))
    assert.equal(2, keep(book, { a = "1" }))
    assert.equal("as_is", admit(book, { a = "1" }))
  end)
end)

describe("check", function()
  local function check(files)
    local folder, buf, err = folder_of(files), ffi.new("struct buf"), tide.error()
    local count = C.rulebook_check(folder, 300000, buf, err)
    local text = ffi.string(buf.data, buf.len):gsub(folder:gsub("%p", "%%%0"), "SCRIPTS")
    C.buf_destroy(buf)
    return count, text
  end

  it("finds nothing in good scripts", function()
    assert.same({ 0, "" }, { check { ["a.lua"] = [[
      local tide = require "tidemark"
      local function days(n, ...) local t = { n = n, [1] = ... } return t.n .. "d" end
      tide.retention("a", function(series)
        for i = 1, 3 do if i == 2 then goto done end end
        ::done::
        for name, value in tide.pairs(series.labels) do tide.log.info(name .. value) end
        return days(tonumber(series.labels.days), 1)
      end)]],
      ["lib/x.lua"] = "local m = {} function m.a.b:c(d, e) return self, d, e end return m" } })
  end)

  it("warns of samples further apart than queries look back, and tells tiers in the shade",
    function()
      local count, text = check { ["a.lua"] = [[
        tide.downsample("hours", { after = "365d", every = "1h", using = "last" })
        tide.downsample("all", { after = "30d", every = "5m", using = "last" })
        tide.downsample("late", { match = "up", after = "60d", every = "5m", using = "last" })]] }
      assert.same({ 1, 'SCRIPTS/a.lua:3: downsample rule "late" is never asked: "all" ' ..
        '(SCRIPTS/a.lua:2) answers before it (put the rule of the older samples first)\n' ..
        'warning: SCRIPTS/a.lua:1: downsample rule "hours" leaves a sample every 1h, but ' ..
        'instant queries look back 5m only (query.lookback): on old data they find nothing ' ..
        'between\n' },
        { count, text })
    end)

  it("warns of answers that change by themselves, and do not say how long they hold", function()
    local count, text = check { ["a.lua"] = [[
      tide.retention("unread", function(series)
        if series.last_read and tide.ago(series.last_read) > 100 then return "7d" end
      end)
      tide.retention("says so", function(series)
        if series.reads == 0 then return math.max(1, 2), "1h" else return nil end
      end)
      tide.retention("labels", function(series) return series.labels.last_read end)
      tide.retention("plain", function(series) return ({ a = "1d", b = "2d" })[series.labels.a] end)
      tide.admit("by the clock", { match = "up", decide = function(series)
        if tide.now() > 5 then return tide.drop "late" end
      end })
      tide.admit("plain", function(series) series.labels.now = "x" end)
      tide.every("1m", "acts", function() tide.push("x", {}, tide.now()) end)]] }
    assert.equal(0, count)
    assert.equal('warning: SCRIPTS/a.lua:1: this retention reads last_read, and does not say ' ..
      'how long its answer is valid (a second value, as in: return "30d", "6h"): it is asked ' ..
      'again each hour\nwarning: SCRIPTS/a.lua:9: this admission reads tide.now, but is asked ' ..
      'once for each series, and again after a reload only\n', text)
  end)

  it("tells every syntax error and unknown name", function()
    assert.same({ 4, [[
SCRIPTS/lib/x.lua:1: unknown name os
SCRIPTS/a.lua:3: '<eof>' expected near 'end'
SCRIPTS/b.lua:1: unknown name tide.retnetion (did you mean tide.retention?)
SCRIPTS/b.lua:2: unknown name serise
]] }, { check { ["a.lua"] = "\n\nend", ["b.lua"] = "tide.retnetion('a', function(series)\n " ..
      "return serise.labels.x end)", ["lib/x.lua"] = "return os.time()" } })
  end)

  it("tells rules that are never asked", function()
    assert.same({ 2, [[
SCRIPTS/a.lua:2: retention rule "same" is never asked: "team" (SCRIPTS/a.lua:1) answers before it
SCRIPTS/a.lua:4: retention rule "late" is never asked: "all" (SCRIPTS/a.lua:3) answers before it
]] }, { check { ["a.lua"] = [[tide.retention("team", { match = '{b="2", a="1"}', keep = "1d" })
tide.retention("same", { match = '{a="1",b="2"}', keep = function() end })
tide.retention("all", { keep = "1d" })
tide.retention("late", { match = 'up', keep = "1d" })]] } })
  end)
end)

describe("a selector", function()
  local selector = require "tidemark.selector"

  it("is taken apart", function()
    assert.same({ { "__name__", 0, "up" } }, selector.parse "up")
    assert.same({ { "__name__", 0, "a:b" }, { "x", 1, "1" }, { "y", 2, ".+" }, { "z", 3, "'" } },
      selector.parse [[ a:b { x != "1" , y=~'.+', z!~"'", } ]])
    assert.same({ { "__name__", 0, "http.requests" }, { "a b", 0, "c" } },
      selector.parse [[{"http.requests", "a b"="c"}]])
    assert.same({ { "a", 0, "\n\"\\A\195\164\1" } }, selector.parse [[{a="\n\"\\\x41\u00e4\001"}]])
    assert.same({ { "a", 0, [[\n]] } }, selector.parse "{a=`\\n`}")
    assert.same({}, selector.parse "{}")
  end)

  it("says where it is wrong", function()
    for text, problem in pairs {
      [""] = "neither a metric name nor {",
      ["up{"] = "at character 4: a label name is missing",
      ["up{a}"] = "at character 4: =, !=, =~ or !~ is missing after a",
      ['up{a="b" c="d"}'] = "at character 10: neither , nor }",
      ['up{a="b}'] = 'at character 4: a text without its closing "',
      ['{a="\\q"}'] = "at character 2: unknown escape \\q",
      ["up[5m]"] = "at character 3: something follows",
    } do
      local list, found = selector.parse(text)
      assert.is_nil(list, text)
      assert.equal(problem, found)
    end
  end)
end)
