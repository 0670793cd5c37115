-- Console sessions: lines evaluated in an environment of their own, answers, completion,
-- cancelling.
local ffi = require "ffi"
local json = require "cjson"
local rules = require "spec.support.rules"
local tide = require "spec.support.tide"
local C = tide.load("script/session.h", "script/host.h", "store/store.h", "store/append.h",
  "store/batch.h", "script/rulebook.h")

local NOW = rules.NOW
local opened, stores = {}, {}

local function open(files, members)
  local book, problem = rules.open(files or {})
  assert(book, problem)
  local session = rules.console(book, members)
  opened[#opened + 1] = session
  return session, book
end

after_each(function()
  for _, session in ipairs(opened) do session:close() end
  rules.close_all()
  for _, store in ipairs(stores) do C.store_abandon(store) end
  opened, stores = {}, {}
end)

local function eval(session, text) return session:eval(text) end

local function complete(session, text)
  local out = ffi.new("struct buf")
  C.session_complete(session.session, text, #text, #text, out)
  local data = json.decode(ffi.string(out.data, out.len))
  C.buf_destroy(out)
  return data
end

-- A store in memory with some series.
local function attach(book)
  local err, options = tide.error(), ffi.new("struct store_options")
  C.store_options_init(options)
  options.no_background = true
  local store = C.store_open(options, nil, err)
  assert(store ~= nil, tide.text(err))
  stores[#stores + 1] = store
  local host = ffi.new("struct script_host", { store = store, lookback_ms = 300000,
    query_timeout_ms = 10000, query_max_samples = 1e6, query_max_series = 1e6 })
  C.rulebook_attach(book, host)
  return store
end

describe("a session", function()
  it("shows the values of expressions, as text and as JSON", function()
    local session = open()
    assert.same({ "done", "3\n", { values = { 3 } } }, { eval(session, "1 + 2") })
    assert.same({ "done", "a\nb\n", { values = { "a", "b" } } }, { eval(session, "'a', 'b'") })
    assert.same({ "done", "", { values = {} } }, { eval(session, "") })
    assert.same({ "done", "", { values = {} } }, { eval(session, "local x = 1") })
    assert.equal('{\n  1,\n  "x\\ny",\n  b = {},\n  ["not"] = nan,\n}\n',
      select(2, eval(session, "{ 1, 'x\\ny', ['not'] = 0/0, b = {} }")))
    assert.same({ { 1, "x", { a = true } } },
      select(3, eval(session, "{ 1, 'x', { a = true } }")).values)
    assert.equal("nil\n", (select(2, eval(session, "nil"))))
  end)

  it("keeps its globals, and has nothing of another session", function()
    local session, other = open(), open()
    eval(session, "x = 21")
    assert.same({ 42 }, select(3, eval(session, "x * 2")).values)
    local outcome, text = eval(other, "x")
    assert.same({ "failed", "console:1: unknown name 'x'\n" }, { outcome, text })
    eval(session, "function f(n) return n + x end")
    assert.same({ 22 }, select(3, eval(session, "f(1)")).values)
  end)

  it("asks for more lines when a chunk is not complete", function()
    local session = open()
    for _, text in ipairs { "for i = 1, 2 do", "f(", "x = ", "if true then", "{ 1,", "[[a",
      "function g()", "--[[ a" } do
      assert.equal("incomplete", (eval(session, text)), text)
    end
    assert.equal("failed", (eval(session, "x = = 1")))
    assert.equal("failed", (eval(session, "'abc")))
    assert.equal("done", (eval(session, "for i = 1, 2 do\nend")))
  end)

  it("prints, in front of the answer", function()
    local session = open()
    local printed = "a\t1\n{\n  2,\n}\n"
    assert.same({ "done", printed .. "7\n", { values = { 7 }, output = printed } },
      { eval(session, "(function() print('a', 1) print({ 2 }) return 7 end)()") })
  end)

  it("says errors with their line, and goes on", function()
    local session = open()
    assert.same({ "failed", "console:2: oops\n", { error = "console:2: oops" } },
      { eval(session, "local x = 1\nerror 'oops'") })
    assert.equal("failed", (eval(session, "error({})")))
    assert.equal("failed", (eval(session, "io.open('/etc/passwd')")))
    assert.same({ 1 }, select(3, eval(session, "1")).values)
  end)

  it("is bounded in time, memory and output", function()
    local session = open(nil, { time_ms = 1000, memory_bytes = 4 * 1024 * 1024,
      output_bytes = 1000 })
    local outcome, text = eval(session, "while true do pcall(function() while true do end end) end")
    assert.same({ "failed", "ran longer than its time limit\n" }, { outcome, text })
    outcome, text = eval(session, "local t = {} while true do t[#t + 1] = {} end")
    assert.equal("failed", outcome)
    assert.is_truthy(text:find("memory", 1, true))
    outcome, text = eval(session, "('x'):rep(5000)")
    assert.equal("failed", outcome) -- JSON must be whole
    assert.is_truthy(text:find("longer than 1000 bytes", 1, true), text)
    assert.equal("failed", (eval(session, "local t = {} t.t = t return t")))
    assert.same({ 2 }, select(3, eval(session, "2")).values)
    assert.equal("failed", (eval(session, "\27Lua")))
  end)

  it("reaches no more than scripts do: no ffi, no files, no shell", function()
    local session = open { ["a.lua"] = "" }
    for _, name in ipairs { "ffi", "io", "os", "debug", "package", "load", "loadstring", "loadfile",
      "dofile", "newproxy", "collectgarbage", "coroutine", "jit", "getmetatable", "rawset", "_G",
      "getfenv", "setfenv", "native" } do
      assert.same({ json.null }, select(3, eval(session,
        "(function() local ok, x = pcall(function() return " .. name ..
        " end) return ok and x end)() or nil")).values, name)
    end
    for _, name in ipairs { "ffi", "io", "os", "jit", "tidemark.env", "socket" } do
      assert.equal("failed", (eval(session, ("require %q"):format(name))), name)
    end
    for _, line in ipairs { "string.rep = 1", "tide.push = 1", "('x'):gsub('x', 'y')",
      "string.dump(print)", "setmetatable('', {})", "tide.server.kill = 1" } do
      assert.equal("failed", (eval(session, line)), line)
    end
  end)

  it("is cancelled by another thread's flag, and only once", function()
    local session = open()
    C.session_cancel(session.session)
    assert.equal("cancelled", (eval(session, "while true do end")))
    assert.equal("done", (eval(session, "1")))
  end)

  it("has the commands of the scripts, after a reload the new ones, and its globals still",
    function()
      local session, book = open { ["a.lua"] =
        [[tide.command("twice", "doubles", function(n) return n * 2 end)]] }
      assert.same({ 8 }, select(3, eval(session, "commands.twice(4)")).values)
      assert.is_truthy(select(2, eval(session, "help()")):find("commands.twice(...)   doubles", 1,
        true))
      eval(session, "kept = 5")
      rules.write(rules.folder(book), { ["a.lua"] =
        [[tide.command("thrice", "triples", function(n) return n * 3 end)]] })
      assert.is_true((rules.reload(book)))
      assert.same({ 15 }, select(3, eval(session, "commands.thrice(kept)")).values)
      assert.equal("failed", (eval(session, "commands.twice(1)")))
    end)
end)

describe("a session on a store", function()
  local session, book

  before_each(function()
    session, book = open()
    attach(book)
    assert.same({ 3 }, select(3, eval(session, [[
      (function()
        local now = tide.now()
        tide.push("up", { job = "web", instance = "a" }, 1)
        tide.push("up", { job = "web", instance = "b" }, 0)
        tide.push("up", { job = "db", instance = "c" }, 1)
        return 3
      end)()]])).values)
  end)

  it("queries what it pushed, shown as a table of series", function()
    local at = "{ time = " .. NOW / 1000 .. " }"
    assert.equal('{job="db"}   1\n{job="web"}  1\n', select(2, eval(session,
      "tide.query('sum by (job) (up)', " .. at .. ")")))
    assert.equal(2, select(3, eval(session, "#tide.query('up{job=\"web\"}', " .. at ..
      ")")).values[1])
    local shown = select(2, eval(session, "tide.query('up', { from = tide.now() - 60, " ..
      "to = tide.now(), step = '30s' })"))
    assert.is_truthy(shown:find('up{instance="a", job="web"}  1 samples, 2023-11-14 22:13:20 to ' ..
      '2023-11-14 22:13:20, last 1', 1, true), shown)
    assert.is_truthy(select(2, eval(session, "tide.query 'sum('")):find("parse error", 1, true))
  end)

  it("lists series, labels, numbers", function()
    local series = select(3, eval(session, "tide.series '{job=\"web\"}'")).values
    assert.same({ 2, "web" }, { #series[1], series[1][1].labels.job })
    assert.equal(2, series[2])
    assert.same({ "db", "web" },
      select(3, eval(session, "tide.store.label_values 'job'")).values[1])
    assert.equal(3, select(3, eval(session, "tide.store.stats().series")).values[1])
    assert.equal(3, select(3, eval(session, "tide.server.top('metric_names')[1].count")).values[1])
    assert.equal("done", (eval(session, "tide.server.maintain() tide.server.persist()")))
  end)

  it("pushes nothing when it fails", function()
    assert.equal("failed", (eval(session, "tide.push('never', {}, 1) error 'x'")))
    assert.same({ 0 }, { select(3, eval(session, "select(2, tide.series 'never')")).values[1] })
  end)

  it("completes names, fields, and what stands in queries", function()
    local function items(text)
      local data = complete(session, text)
      return table.concat(data.items, " "), data.from
    end
    eval(session, "mine = { alpha = 1, beta = { gamma = 2 } }")
    assert.same({ "mine", 0 }, { items "mi" })
    assert.same({ "alpha beta", 5 }, { items "mine." })
    assert.same({ "gamma", 10 }, { items "mine.beta." })
    assert.same({ "label_names label_values", 18 }, { items "return tide.store.label" })
    assert.is_truthy((items "tide."):find("query", 1, true))
    assert.is_truthy((items "string."):find("format", 1, true))
    assert.same({ "up", 12 }, { items "tide.query 'up" })
    assert.same({ "job", 15 }, { items "tide.query 'up{j" })
    assert.same({ "db web", 20 }, { items "tide.query 'up{job=\"" })
    assert.same({ "web", 20 }, { items "tide.query 'up{job=\"w" })
    assert.is_truthy((items "tide.query 'su"):find("sum_over_time", 1, true))
    assert.same({ "", 8 }, { items "nothing." })
  end)

  it("tells a query that runs too long to stop when the session is cancelled", function()
    C.session_cancel(session.session)
    assert.equal("cancelled", (eval(session, "tide.query 'up' while true do end")))
  end)
end)
