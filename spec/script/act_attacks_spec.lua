-- What operator code can make C do where it may act: in timers, functions of PromQL, result rules,
-- events, console lines. All of it ends by the limits, the process stays small, and the server goes
-- on serving.
local json = require "cjson"
local process = require "spec.support.process"
local server = require "spec.support.server"

local sanitized = (os.getenv("SANITIZER") or "") ~= ""

-- Bodies of a timer. Each runs bare, and in an endless loop of pcall.
local TIMERS = {
  ["queries for ever"] = "while true do tide.query 'count({__name__=~\".+\"})' end",
  ["queries much"] = "while true do tide.query('load', { from = tide.now() - 3600, " ..
    "to = tide.now(), step = 1 }) end",
  ["keeps answers"] = "local t = {} while true do t[#t + 1] = tide.query 'load' end",
  ["pushes for ever"] = "local i = 0 while true do i = i + 1 " ..
    "tide.push('x', { i = '' .. i }, i) end",
  ["pushes large labels"] = "local big = ('x'):rep(60000) local i = 0 while true do i = i + 1 " ..
    "tide.push('x', { big = big .. i }, i) end",
  ["imports for ever"] = "local r = tide.query('load[1h]') while true do " ..
    "tide.import('x', {}, r[1].times, r[1].values) end",
  ["imports ever new series"] = "local i = 0 while true do i = i + 1 " ..
    "tide.import('x', { i = '' .. i }, { i }, { i }) end",
  ["imports nonsense"] = "while true do pcall(tide.import, 'x', {}, { 1, 2 }, { 1 }) " ..
    "pcall(tide.import, 'x', {}, { 0/0, 1e99 }, { 1, 'x' }) pcall(tide.import, 'x', {}, " ..
    "setmetatable({}, { __index = function() while true do end end, __len = function() " ..
    "return 1e9 end }), {}) end",
  ["selects for ever"] = "local big = ('\"'):rep(60000) while true do " ..
    "tide.selector { a = big, b = big } end",
  ["shares for ever"] = "local big = ('x'):rep(60000) local i = 0 while true do i = i + 1 " ..
    "tide.shared.set('k' .. i, big) end",
  ["counts in shared for ever"] = "while true do tide.shared.incr 'n' end",
  ["lists series for ever"] = "while true do tide.series '{__name__=~\".+\"}' end",
  ["maps columns for ever"] = "local r = tide.query('load[1h]') while true do " ..
    "r[1].values:map(function(v) while true do end end) end",
  ["maps into memory"] = "local r = tide.query('load[1h]') local t = {} while true do " ..
    "t[#t + 1] = r[1].values:map(function(v) return v end) end",
  ["raises from map"] = "local r = tide.query('load[1h]') while true do " ..
    "pcall(r[1].values.map, r[1].values, function() error {} end) end",
  ["gives wrong userdata"] = "local r = tide.query('load[1h]') while true do " ..
    "pcall(function() return r[1].values.sum(r) end) pcall(function() " ..
    "return r[1].values.quantile(r[1].times, 0/0) end) end",
  ["asks for nonsense"] = "while true do pcall(tide.query, ('('):rep(60000)) " ..
    "pcall(tide.query, 'up', { time = 0/0 }) pcall(tide.push, 'x', setmetatable({}, " ..
    "{ __index = function() while true do end end }), 1) end",
  ["deletes for ever"] = "while true do tide.delete('{nothing=\"here\"}') end",
  ["queries by functions that loop"] = "while true do pcall(tide.query, 'forever(load[1h])') end",
  ["queries as a user for ever"] = "while true do pcall(tide.query, 'load', { as = 'user' }) end",
}

-- Each is asked over HTTP, by a function of PromQL or a result rule.
local READS = {
  { "forever(load[1h])", 422 }, { "memory(load[1h])", 422 }, { "nested(load[1h])", 422 },
  { "recursion(load[1h])", 422 }, { "table(load[1h])", 422 }, { "acts(load[1h])", 422 },
  { "load{mask='loop'}", 503 }, { "load{mask='memory'}", 503 }, { "load{mask='pcall'}", 503 },
}

local RULES = [[
  tide.func("forever", { args = "range" }, function() while true do pcall(function()
    while true do end end) end end)
  tide.func("memory", { args = "range" }, function() local t = {} while true do t[#t + 1] = {} end
  end)
  tide.func("nested", { args = "range" }, function(times, values)
    return values:map(function() return values:map(function() while true do end end) end) end)
  tide.func("recursion", { args = "range" }, function() local function f() f() end f() end)
  tide.func("table", { args = "range" }, function() return {} end)
  tide.func("acts", { args = "range" }, function() tide.push("x", {}, 1) return 1 end)
  tide.result("masks", { hide = { "mask" }, match = '{__name__="load"}', decide = function(q, s)
    if q.text and q.text:find("mask='loop", 1, true) then while true do end end
    if q.text and q.text:find("mask='memory", 1, true) then
      local t = {} while true do t[#t + 1] = {} end
    end
    if q.text and q.text:find("mask='pcall", 1, true) then
      while true do pcall(function() s.labels.mask = ("x"):rep(60000) end) end
    end
  end })
  tide.query("shape", function(q) if q.user == "fast" then q.max_series = 1 end end)]]

describe("operator code that acts", function()
  local folder, one
  local function write(name, text)
    local file = assert(io.open(folder .. "/" .. name, "w"))
    file:write(text)
    file:close()
  end

  setup(function()
    folder = process.folder()
    write("a.lua", RULES)
    local names = {}
    for name in pairs(TIMERS) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
      write("t" .. #name .. name:gsub("%W", "_") .. ".lua", ([[
        tide.every("1s", %q, function() %s end)
        tide.every("1s", %q, function() while true do pcall(function() %s end) end end)]]):format(
        name, TIMERS[name], name .. ", under pcall", TIMERS[name]))
    end
    one = server.start(nil, "--scripts", folder, "--set", "limits.script_errors=2",
      "--set", "limits.script_timer_time=100ms", "--set", "limits.script_time=50ms")
    local now = os.time()
    local lines = {}
    for i = 1, 50 do
      lines[i] = ('load{i="%d"} %d %d000\n'):format(i, i, now - i)
    end
    assert.equal(204, one:request("POST", "/api/v1/import/prometheus",
      table.concat(lines)).status)
  end)
  teardown(function()
    assert.equal(0, one:stop())
    process.remove(folder)
    process.remove(one.folder)
  end)

  local function resident_mib()
    local file = assert(io.open("/proc/" .. one.process.pid .. "/status"))
    local kib = tonumber(file:read("*a"):match("VmRSS:%s*(%d+)"))
    file:close()
    return kib / 1024
  end

  local function rules()
    local map = {}
    local body = one:request("GET", "/api/v1/status/scripts").body
    for _, rule in ipairs(json.decode(body).data.rules) do map[rule.title] = rule end
    return map
  end

  it("is stopped and suspended, while the server serves", function()
    process.wait_for("all timers to be suspended", 60, function()
      -- Queries of others are answered meanwhile.
      assert.equal(200, one:request("GET", "/api/v1/query?query=count(up)").status)
      for name in pairs(TIMERS) do
        local now = rules()
        if not (now[name].suspended and now[name .. ", under pcall"].suspended) then
          return false
        end
      end
      return true
    end)
    for name, rule in pairs(rules()) do
      if TIMERS[name:gsub(", under pcall$", "")] then
        -- Twice the limit or half a second, whichever is longer, for each of the two calls.
        local longest = sanitized and 10 or 0.5
        assert.is_true(rule.seconds / rule.calls < longest, name .. " " .. rule.seconds)
        assert.equal(2, rule.errors, name .. rule.last_error)
      end
    end
    -- Nothing of what they pushed is there.
    assert.same({}, json.decode(one:request("GET", "/api/v1/series?match[]=x").body).data)
    if not sanitized then assert.is_true(resident_mib() < 400, resident_mib()) end
  end)

  for _, read in ipairs(READS) do
    local query, status = read[1], read[2]
    it("answers " .. status .. " to " .. query, function()
      local text = query:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)
      local answer = one:request("GET", "/api/v1/query?query=" .. text)
      assert.equal(status, answer.status, answer.body)
    end)
  end

  it("leaves the server whole", function()
    -- The result rule failed too often, so what it could hide is not read until a reload.
    assert.equal(503, one:request("GET", "/api/v1/query?query=count(load)").status)
    assert.equal(200, one:request("POST", "/-/reload").status)
    assert.equal("50", json.decode(one:request("GET",
      "/api/v1/query?query=count(load)").body).data.result[1].value[2])
  end)
end)
