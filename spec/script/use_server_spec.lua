-- What scripts do as somebody else, what they undo, and whom they see reading, on a real server.
local json = require "cjson"
local process = require "spec.support.process"
local protobuf = require "spec.support.protobuf"
local remote_write = require "spec.support.remote_write"
local server = require "spec.support.server"

local bytes, number, escape = protobuf.bytes, protobuf.number, server.escape

local folder, one, session

local function write(text)
  local file = assert(io.open(folder .. "/a.lua", "w"))
  file:write(text)
  file:close()
end

local function start(script, more)
  folder = process.folder()
  write(script)
  one = server.configured('return { listen = "127.0.0.1:PORT", scripts = "' .. folder .. '", ' ..
    (more or "") .. ' http = { users = { ' ..
    '{ user = "ops", token = "token-of-ops-0123", roles = { "push", "read", "admin" }, ' ..
    'tenant = "lab" } } } }')
  one:ready()
  session = nil
end

local function restart()
  assert.equal(0, one.process:stop())
  one.process = process.start({ (os.getenv("BUILD") or "build") .. "/tidemark", "serve", "--config",
    one.folder .. "/config.lua", "--data", one.folder .. "/data" }, one.log)
  one:ready()
  session = nil
end

after_each(function()
  assert.equal(0, one.process:stop())
  process.remove(folder)
  process.remove(one.folder)
end)

local function ask(method, path, body, headers)
  headers = headers or {}
  headers.Authorization = "Bearer token-of-ops-0123"
  local answer = one:request(method, path, body, headers)
  assert.is_true(answer.status < 300, path .. ": " .. answer.status .. " " .. answer.body)
  return answer.body
end

local function push(lines) ask("POST", "/api/v1/import/prometheus", lines) end

-- The values of a line at the console, or nil and what it says.
local function eval(line)
  local path, data = "/api/v1/admin/console" .. (session and "?session=" .. session or "")
  for name, text in ask("POST", path, line):gmatch "event: (%a+)\ndata: ([^\n]*)\n\n" do
    if name == "session" then session = json.decode(text).id end
    if name == "done" or name == "failed" then data = { name = name, data = json.decode(text) } end
  end
  if data.name == "failed" then return nil, data.data.text end
  return unpack(data.data.result.values)
end

local function query(text)
  return json.decode(ask("GET", "/api/v1/query?query=" .. escape(text))).data.result
end

describe('tide.query as = "user"', function()
  local RULES = [[
    tide.query("own", function(q)
      if q.text == "broken" then error "oops" end
      if q.text == "refused" then return tide.refuse(403, "not for " .. q.user) end
      if q.text == "load[1m]" then q.from = q.to - 5 end
      q:restrict { tenant = q.tenant }
    end)
    tide.result("mask", { hide = { "email" }, decide = function(_, series)
      if series.labels.email then series.labels.email = "somebody" end
    end })
    tide.command("mine", "as the one who asks", function(text, options)
      options = options or {}
      options.as = "user"
      return tide.query(text, options)
    end)
    tide.every("1s", "as a timer", function()
      -- A timer is nobody's: it has no tenant, so the rule fails, and nothing is read.
      local ok = pcall(tide.query, "up", { as = "user" })
      tide.push("timer", {}, ok and 1 or 0)
    end)]]

  it("passes the rules of queries and results, as the console's user", function()
    start(RULES)
    push 'up{tenant="lab",email="a@x"} 1\nup{tenant="web",email="b@x"} 2\n'
    assert.equal(2, eval 'return #tide.query "up"')
    assert.equal("a@x", eval [[return tide.query("up{tenant='lab'}")[1].labels.email]])
    assert.equal(1, eval 'return #commands.mine "up"')
    assert.equal("lab somebody", eval [[
      local l = commands.mine("up")[1].labels return l.tenant .. " " .. l.email]])
    for _, text in ipairs { "up or up{tenant='web'}", "up{tenant=~'.*'}", "sum by (tenant) (up)",
      "label_replace(up, 'x', '$1', 'tenant', '(.*)')", "last_over_time(up[5m] @ end())" } do
      assert.equal(1, eval(("return #commands.mine(%q)"):format(text)), text)
    end
    assert.equal(0, eval [[return #commands.mine "up{tenant='web'}"]])
    assert.equal(0, eval [[return #commands.mine "up{email='a@x'}"]])
    assert.equal(1, eval [[
      local now = tide.now()
      return #commands.mine("up", { from = now - 60, to = now, step = 15 })]])
  end)

  it("fails closed: refusals and broken rules are errors, and nothing is read", function()
    start(RULES)
    push 'up{tenant="lab"} 1\n'
    local values, problem = eval 'return commands.mine "refused"'
    assert.is_nil(values)
    assert.is_truthy(problem:find('not for ops (rule "own")', 1, true), problem)
    values, problem = eval 'return commands.mine "broken"'
    assert.is_nil(values)
    assert.is_truthy(problem:find('the query rule "own" is broken', 1, true), problem)
    assert.is_nil(problem:find("oops", 1, true))
    process.wait_for("the timer", 15, function()
      return eval 'local r = tide.query "timer" return r[1] and r[1].value' == 0
    end)
  end)
end)

describe("tide.undelete", function()
  it("brings back what tide.delete took, to the byte, and once", function()
    start [[
      tide.command("undo", "brings a delete back", function(id)
        return tide.undelete(id).samples
      end)]]
    local now, lines = os.time(), {}
    for i = 1, 300 do
      lines[i] = ('a{i="1"} %d %d000\na{i="2"} %g %d000\n'):format(i, now - 3000 + i * 10,
        i * i / 7, now - 3000 + i * 10)
    end
    push(table.concat(lines) .. ('b 1 %d000\n'):format(now))
    local path = "/api/v1/export?match[]=" .. escape '{__name__=~"a|b"}'
    local before = ask("GET", path)

    -- A part of one series, and all of both.
    for _, what in ipairs { { [[a{i="1"}]], now - 2000, 100 }, { "a", now, 600 } } do
      local id, why = eval(([[
        plan = tide.delete(%q, { from = %d, to = %d })
        local gone = tide.delete(%q, { from = plan.from, to = plan.to, id = plan.id })
        assert(gone.samples == plan.samples and plan.samples == %d, plan.samples)
        return gone.trash]]):format(what[1], now - 3000, what[2], what[1], what[3]))
      assert.equal("string", type(id), why)
      assert.not_equal(before, ask("GET", path))
      assert.equal(what[3], eval(("return commands.undo(%q)"):format(id)))
      assert.equal(before, ask("GET", path))
      local again, problem = eval(("return tide.undelete(%q)"):format(id))
      assert.is_nil(again)
      assert.is_truthy(problem:find("tide.undelete: ", 1, true), problem)
    end
    for _, bad in ipairs { "'../../etc'", "''", "'20200101T000000Z-0000000000000000'", "nil", "7",
      "{}" } do
      assert.is_nil((eval("return tide.undelete(" .. bad .. ")")), bad)
    end
    restart()
    assert.equal(before, ask("GET", path))
  end)
end)

describe("a read", function()
  local function use(name)
    return eval(("local s = tide.series(%q)[1] return s.reads, s.last_read or 0"):format(name))
  end

  local READS = {
    query = function(name) query(name) end,
    query_range = function(name)
      ask("GET", ("/api/v1/query_range?query=%s&start=%d&end=%d&step=15"):format(name,
        os.time() - 60, os.time()))
    end,
    query_post = function(name)
      ask("POST", "/api/v1/query", "query=rate(" .. name .. "[5m])",
        { ["Content-Type"] = "application/x-www-form-urlencoded" })
    end,
    federate = function(name) ask("GET", "/federate?match[]=" .. name) end,
    export = function(name) ask("GET", "/api/v1/export?match[]=" .. name) end,
    remote_read = function(name)
      local matcher = bytes(3, number(1, 0) .. bytes(2, "__name__") .. bytes(3, name))
      ask("POST", "/api/v1/read", remote_write.snappy(bytes(1, number(1, (os.time() - 60) * 1000) ..
        number(2, os.time() * 1000) .. matcher)), { ["Content-Encoding"] = "snappy" })
    end,
    as_user = function(name)
      eval(("return #tide.query(%q, { as = 'user' })"):format(name))
    end,
  }
  local NONE = {
    series = function(name) ask("GET", "/api/v1/series?match[]=" .. name) end,
    labels = function(name) ask("GET", "/api/v1/labels?match[]=" .. name) end,
    values = function(name) ask("GET", "/api/v1/label/__name__/values?match[]=" .. name) end,
    own = function(name) eval(("return #tide.query(%q)"):format(name)) end,
    list = function(name) eval(("return #tide.series(%q)"):format(name)) end,
    count = function(name) eval(("return tide.delete(%q).samples"):format(name)) end,
  }

  it("of each kind counts once, and outlasts a restart; what is none does not", function()
    start 'tide.retention("asks for use", function(s) return s.last_read and "forever", "1h" end)'
    local lines, since = {}, os.time()
    for name in pairs(READS) do lines[#lines + 1] = ("%s 1 %d000\n"):format(name, since) end
    for name in pairs(NONE) do lines[#lines + 1] = ("%s 1 %d000\n"):format(name, since) end
    push(table.concat(lines))
    local function check(times)
      for name in pairs(READS) do
        local reads, last = use(name)
        assert.equal(times, reads, name)
        assert.is_true(times == 0 and last == 0 or
          last >= since - 1 and last <= os.time() + 1, name .. " " .. last)
      end
      for name in pairs(NONE) do assert.same({ 0, 0 }, { use(name) }, name) end
    end
    check(0)
    for name, read in pairs(READS) do read(name) end
    for name, read in pairs(NONE) do read(name) end
    check(1)
    for name, read in pairs(READS) do read(name) end
    check(2)
    restart()
    check(2)
  end)

  it("keeps a series that would go: scripts/keep_what_is_read on a real pass", function()
    local file = assert(io.open "scripts/keep_what_is_read.lua")
    local script = file:read("*a")
    file:close()
    for from, to in pairs { ["tide.days(90)"] = "3", ['"30d"'] = '"1h"', ['"6h"'] = '"1s"' } do
      local count
      script, count = script:gsub(from:gsub("%p", "%%%0"), to)
      assert.equal(1, count, from)
    end
    start(script, 'storage = { retention = "forever", min_shrink_ratio = 0, ' ..
      'memory_target = "1MiB", head_chunk_timeout = "1s" },')
    local now, lines = os.time(), {}
    for i = 0, 2000 do
      for _, name in ipairs { "unread", "wanted", "up" } do
        lines[#lines + 1] = ("%s %d %d000\n"):format(name, i * i % 9973, now - 2 * 86400 + i * 60)
      end
    end
    lines[#lines + 1] = ("unread 1 %d000\nwanted 1 %d000\nup 1 %d000\n"):format(now, now, now)
    -- So much that a server with so little memory writes its chunks to the files at once.
    for i = 1, 3000 do lines[#lines + 1] = ('filler{i="%d"} 1 %d000\n'):format(i, now) end
    push(table.concat(lines))
    -- Read by the server itself, which is no read.
    local function count(name)
      return eval(("return tide.query('count_over_time(%s[3d])')[1].value"):format(name))
    end
    local function pass()
      eval "tide.server.persist() tide.server.maintain()"
      for _ = 1, 2 do
        eval "for _, hold in ipairs(tide.server.holds()) do tide.server.confirm(hold.id) end"
      end
    end
    process.wait_for("the pass", 30, function()
      query "wanted[3d]"
      pass()
      return count "unread" < 2002
    end)
    assert.same({ 2002, 2002 }, { count "wanted", count "up" })
    restart()
    query "wanted[3d]"
    pass()
    assert.equal(2002, count "wanted")
    -- Nobody reads it any more.
    process.wait_for("the end of what was read", 30, function()
      pass()
      return count "wanted" < 2002
    end)
    assert.equal(2002, count "up")
  end)
end)
