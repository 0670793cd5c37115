-- What scripts do by themselves on a real server: timers, recording rules, alerts and their
-- webhook, events, what threads share.
local json = require "cjson"
local process = require "spec.support.process"
local receiver = require "spec.support.receiver"
local server = require "spec.support.server"

local folder, one, hook

local function start(script, ...)
  folder = process.folder()
  local file = assert(io.open(folder .. "/a.lua", "w"))
  file:write(script)
  file:close()
  one = server.start(nil, "--scripts", folder, ...)
end

local function escape(text)
  return (text:gsub("[^%w]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

local function get(path)
  local answer = one:request("GET", path)
  assert.equal(200, answer.status, answer.body)
  return json.decode(answer.body).data
end

local function query(text) return get("/api/v1/query?query=" .. escape(text)).result end

local function push(lines)
  assert.equal(204, one:request("POST", "/api/v1/import/prometheus", lines).status)
end

-- The value of a query's only series, once it has one.
local function wait_value(text)
  return process.wait_for(text, 15, function()
    local result = query(text)
    return #result == 1 and tonumber(result[1].value[2])
  end)
end

after_each(function()
  assert.equal(0, one:stop())
  process.remove(folder)
  process.remove(one.folder)
  if hook then hook:stop() end
  hook = nil
end)

describe("a timer", function()
  it("asks the store, pushes what it finds, and shares numbers with other threads", function()
    start [[
      tide.every("1s", "sum by job", function(time)
        local runs = tide.shared.incr "runs"
        local sums = tide.query "sum by (job) (load)"
        if #sums == 2 then
          assert(sums[1].value + sums[2].value == 7)
          tide.push("job:load:sum", { by = "timer" }, sums)
          tide.push("answer", {}, 42, time)
        end
        tide.push("runs", {}, runs)
      end)
      tide.admit("count", function(s)
        if s.labels.__name__ == "load" then tide.shared.incr "admitted" end
      end)
      tide.every("1s", "told", function()
        tide.push("admitted", {}, tide.shared.get "admitted" or 0)
        local series, all = tide.series '{__name__="load"}'
        if all == 3 then
          assert(#series == 3 and series[1].labels.job and series[1].last > 1e9)
          assert(tide.store.stats().series >= 3)
          assert(#tide.store.label_values "job" == 2)
          tide.push("seen", {}, all)
        end
      end)]]
    push 'load{job="a",i="1"} 1\nload{job="a",i="2"} 2\nload{job="b",i="1"} 4\n'
    assert.equal(3, wait_value 'job:load:sum{by="timer",job="a"}')
    assert.equal(4, wait_value 'job:load:sum{by="timer",job="b"}')
    assert.equal(42, wait_value "answer")
    assert.equal(3, wait_value "seen")
    assert.is_true(wait_value "runs" >= 1)
    process.wait_for("what was admitted", 10, function() return wait_value "admitted" == 3 end)
  end)

  it("that fails pushes nothing, is counted, and is stopped in time", function()
    start([[
      tide.every("1s", "fails", function()
        tide.push("never", {}, 1)
        error "oops"
      end)
      tide.every("1s", "long", function()
        tide.push("never", {}, 2)
        while true do pcall(function() while true do end end) end
      end)
      tide.every("1s", "large", function()
        local t = {}
        while true do t[#t + 1] = tide.query "vector(1)" end
      end)
      tide.every("1s", "fine", function() tide.push("fine", {}, 1) end)]],
      "--set", "limits.script_timer_time=100ms", "--set", "limits.script_errors=2")
    assert.equal(1, wait_value "fine")
    local function rules()
      local map = {}
      for _, rule in ipairs(get("/api/v1/status/scripts").rules) do map[rule.title] = rule end
      return map
    end
    process.wait_for("suspension", 20, function()
      local now = rules()
      return now.fails.suspended and now.long.suspended and now.large.suspended
    end)
    local now = rules()
    assert.is_truthy(now.fails.last_error:find("a.lua:3: oops", 1, true), now.fails.last_error)
    assert.is_truthy(now.long.last_error:find("ran longer than its time limit", 1, true))
    assert.is_false(now.fine.suspended)
    assert.same({}, query "never")
  end)

  it("cannot do what only it may from rules that decide", function()
    start [[
      tide.admit("acts", function() tide.push("x", {}, 1) end)
      tide.query("asks", function(q)
        if q.dashboard then tide.query "up" end
      end)]]
    push "up 1\n"
    local rules = get("/api/v1/status/scripts").rules
    assert.is_truthy(rules[1].last_error:find(
      "tide.push: only in timers, events, commands and the console", 1, true))
    assert.equal(503, one:request("GET", "/api/v1/labels", nil,
      { ["X-Dashboard-Uid"] = "d" }).status)
  end)
end)

describe("a recording rule", function()
  it("stores the answer on a grid of times, and marks what is gone", function()
    start [[
      tide.record("job:load:sum", { expr = "sum by (job) (load > 0)", every = "1s",
        labels = { source = "rule" } })
      tide.record("broken", { expr = "load[1m]", every = "1s" })]]
    push 'load{job="a"} 1\nload{job="b"} 4\n'
    assert.equal(1, wait_value 'job:load:sum{job="a",source="rule"}')
    local matrix = query 'job:load:sum{job="a"}[1m]'
    for _, pair in ipairs(matrix[1].values) do assert.equal(0, pair[1] % 1) end
    local groups = get("/api/v1/rules").groups
    assert.equal(1, #groups)
    assert.equal("a.lua 1s", groups[1].name)
    local sum, broken = groups[1].rules[1], groups[1].rules[2]
    assert.same({ "job:load:sum", "recording", "ok", "sum by (job) (load > 0)" },
      { sum.name, sum.type, sum.health, sum.query })
    assert.same({ source = "rule" }, sum.labels)
    process.wait_for("the error", 10, function()
      broken = get("/api/v1/rules").groups[1].rules[2]
      return broken.health == "err"
    end)
    assert.is_truthy(broken.lastError:find("neither a vector nor a scalar", 1, true),
      broken.lastError)
    -- A series that is no longer in the answer ends at once.
    assert.equal(2, #query "job:load:sum")
    push 'load{job="b"} 0\n'
    process.wait_for("the end of job b", 15, function()
      local left = query "job:load:sum"
      return #left == 1 and left[1].metric.job == "a"
    end)
  end)
end)

describe("an alert", function()
  it("is pending, fires, is told to a webhook that fails at first, and is resolved", function()
    hook = receiver.start { 500, 503 }
    start([[
      tide.alert("TooHot", { expr = "celsius > 30", every = "1s", hold = "2s",
        labels = { severity = "page" },
        annotations = { summary = "{{ $labels.room }} has {{$value}} degrees" } })
      tide.alert("ByFunction", { expr = "celsius > 30", every = "1s",
        annotations = function(alert)
          return { text = alert.labels.room .. " " .. alert.value }
        end })
      tide.record("fine", { expr = "vector(1)", every = "1s" })]],
      "--set", "alerts.webhooks=" .. hook.url:gsub("//", "//me:secret@"),
      "--set", "alerts.url=http://tide.example")
    push 'celsius{room="attic"} 35\ncelsius{room="cellar"} 12\n'
    local function alert(name)
      for _, rule in ipairs(get("/api/v1/rules?type=alert").groups[1].rules) do
        if rule.name == name then return rule end
      end
    end
    process.wait_for("pending", 10, function() return alert("TooHot").state == "pending" end)
    assert.equal(1, wait_value 'ALERTS{alertname="TooHot",alertstate="pending",room="attic"}')
    process.wait_for("firing", 15, function() return alert("TooHot").state == "firing" end)
    local hot = alert "TooHot"
    assert.same({ "alerting", 2, "celsius > 30" }, { hot.type, hot.duration, hot.query })
    assert.same({ alertname = "TooHot", room = "attic", severity = "page" }, hot.alerts[1].labels)
    assert.same({ summary = "attic has 35 degrees" }, hot.alerts[1].annotations)
    assert.equal("35", hot.alerts[1].value)
    assert.equal(1, wait_value 'ALERTS{alertname="TooHot",alertstate="firing"}')
    process.wait_for("the end of pending", 10, function()
      return #query 'ALERTS{alertname="TooHot",alertstate="pending"}' == 0
    end)
    assert.equal(2, #get("/api/v1/alerts").alerts)

    -- The webhook: refused twice, then taken, in Alertmanager's form.
    local function taken(name, resolved)
      for _, post in ipairs(hook:bodies()) do
        for _, one_alert in ipairs(post.status == 200 and json.decode(post.body) or {}) do
          if one_alert.labels.alertname == name and
            (not resolved or one_alert.endsAt < one_alert.startsAt:gsub("^20", "30") and
              one_alert.endsAt <= os.date("!%Y-%m-%dT%H:%M:%SZ")) then
            return one_alert
          end
        end
      end
    end
    local told = process.wait_for("the webhook", 20, function() return taken "TooHot" end)
    assert.same({ alertname = "TooHot", room = "attic", severity = "page" }, told.labels)
    assert.same({ summary = "attic has 35 degrees" }, told.annotations)
    assert.equal("http://tide.example", told.generatorURL)
    assert.is_truthy(told.startsAt:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$"))
    assert.is_true(told.endsAt > told.startsAt)
    assert.same({ text = "attic 35" }, process.wait_for("the other", 20, function()
      return taken "ByFunction"
    end).annotations)

    push 'celsius{room="attic"} 20\n'
    process.wait_for("the end", 10, function() return alert("TooHot").state == "inactive" end)
    process.wait_for("the resolution", 20, function() return taken("TooHot", true) end)
    assert.same({}, get("/api/v1/alerts").alerts)
    assert.equal(0, #query 'ALERTS{alertname="TooHot"}')
    local _, metrics = nil, one:request("GET", "/metrics").body
    assert.is_truthy(metrics:find('tidemark_webhook_posts_failed_total{url="' .. hook.url ..
      '"} 2\n', 1, true), metrics:match("tidemark_webhook[^\n]*"))
    assert.is_nil(metrics:find("secret", 1, true))
    assert.is_nil(one.process:output():find("secret", 1, true))
  end)
end)

describe("a rule on an event", function()
  it("hears of failures of scripts", function()
    start [[
      tide.on("script_error", "tell", function(event)
        tide.push("failures", { text = event.text }, 1)
      end)
      tide.admit("bad", function(s) if s.labels.bad then error "no" end end)]]
    push 'x{bad="1"} 1\n'
    local failures = process.wait_for("the event", 15, function()
      local result = query "failures"
      return #result > 0 and result
    end)
    assert.is_truthy(failures[1].metric.text:find('admit rule "bad"', 1, true))
  end)
end)

describe("a function of PromQL in Lua", function()
  it("gets whole windows, and scalars", function()
    start([[
      tide.func("spread_over_time", { args = "range" }, function(times, values)
        assert(#times == #values and times[1] < times[#times] or #times == 1)
        return values:max() - values:min()
      end)
      tide.func("power", { args = "vector, scalar" }, function(value, exponent)
        if value < 0 then return nil end
        return value ^ exponent
      end)
      tide.func("broken", { args = "range" }, function() error "oops" end)
      local kept
      tide.func("keeps", { args = "range" }, function(times, values)
        kept = values
        return 0
      end)
      tide.query("reads it later", function(q)
        if q.dashboard then return tide.refuse(400, "value " .. kept[1]) end
      end)]], "--set", "query.concurrency=1")
    local now = os.time()
    local lines = {}
    for i = 0, 9 do lines[#lines + 1] = ("x %d %d000\n"):format(i * i, now - 90 + i * 10) end
    lines[#lines + 1] = ("y -3 %d000\n"):format(now)
    push(table.concat(lines))
    assert.equal("81", query("spread_over_time(x[2m] @ " .. now .. ")")[1].value[2])
    assert.equal("27", query("power(vector(3), 3)")[1].value[2])
    assert.same({}, query("power(y, 2)"))
    assert.equal("109", query("sum(spread_over_time(x[2m] @ " .. now ..
      ")) + scalar(power(vector(28), 1))")[1].value[2])
    local answer = one:request("GET", "/api/v1/query?query=" ..
      escape("broken(x[2m] @ " .. now .. ")"))
    assert.equal(422, answer.status)
    assert.is_truthy(answer.body:find("oops", 1, true), answer.body)
    answer = one:request("GET", "/api/v1/query?query=" .. escape("nothing(x[2m])"))
    assert.equal(400, answer.status)
    -- A window that is read later than in its call is an error, not somebody else's memory.
    assert.equal("0", query("keeps(x[2m] @ " .. now .. ")")[1].value[2])
    answer = one:request("GET", "/api/v1/labels", nil, { ["X-Dashboard-Uid"] = "d" })
    assert.equal(503, answer.status)
    assert.is_truthy(get("/api/v1/status/scripts").rules[5].last_error:find(
      "only inside the function that got it", 1, true))
  end)
end)
