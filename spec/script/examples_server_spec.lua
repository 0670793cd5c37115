-- scripts/ on a real server: the examples that read, act and answer, as an operator meets them.
local json = require "cjson"
local process = require "spec.support.process"
local receiver = require "spec.support.receiver"
local server = require "spec.support.server"

local folder, one, hook

-- A server with one example; `every` shortens its intervals.
local function start(name, every, ...)
  folder = process.folder()
  local file = assert(io.open("scripts/" .. name .. ".lua"))
  local text = file:read("*a")
  file:close()
  for from, to in pairs(every or {}) do
    local changed, count = text:gsub(from:gsub("%p", "%%%0"), (to:gsub("%%", "%%%%")))
    assert(count > 0, from)
    text = changed
  end
  file = assert(io.open(folder .. "/" .. name .. ".lua", "w"))
  file:write(text)
  file:close()
  one = server.configured('return { listen = "127.0.0.1:PORT", scripts = "' .. folder .. '", ' ..
    (... or "") .. ' http = { users = { ' ..
    '{ user = "ann", token = "token-of-ann-0123", roles = { "push", "read" }, tenant = "web" }, ' ..
    '{ user = "support", token = "token-of-support", roles = "read" }, ' ..
    '{ user = "admin", token = "token-of-admin-01", roles = { "read", "admin" } } } } }')
  one:ready()
end

after_each(function()
  assert.equal(0, one:stop())
  process.remove(folder)
  process.remove(one.folder)
  if hook then hook:stop() end
  hook = nil
end)

local TOKENS = { ann = "token-of-ann-0123", support = "token-of-support",
  admin = "token-of-admin-01" }

local function escape(text)
  return (text:gsub("[^%w]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

local function ask(who, method, path, body)
  return one:request(method, path, body, { Authorization = "Bearer " .. TOKENS[who] })
end

local function push(lines)
  local answer = ask("ann", "POST", "/api/v1/import/prometheus", lines)
  assert.equal(204, answer.status, answer.body)
end

-- Lines of so many series that a server with memory_target = "1MiB" is full, and writes its chunks
-- to the files at once, not after a minute.
local function filler(now)
  local lines = {}
  for i = 1, 3000 do lines[i] = ('filler{i="%d"} 1 %d000\n'):format(i, now) end
  return table.concat(lines)
end

local function query(who, text)
  local answer = ask(who, "GET", "/api/v1/query?query=" .. escape(text))
  assert.equal(200, answer.status, answer.body)
  return json.decode(answer.body).data.result
end

local function wait_value(text)
  return process.wait_for(text, 15, function()
    local result = query("admin", text)
    return #result == 1 and tonumber(result[1].value[2])
  end)
end

describe("scripts/", function()
  it("query_tenants shows each user its own tenant's series", function()
    start "query_tenants"
    push 'up{tenant="web"} 1\nup{tenant="lab"} 2\n'
    assert.equal("web", query("ann", "up")[1].metric.tenant)
    assert.equal(1, #query("ann", "up or up{tenant='lab'}"))
    assert.equal(2, #query("admin", "up"))
    assert.same({ "web" }, json.decode(ask("ann", "GET", "/api/v1/label/tenant/values").body).data)
    assert.same({}, query("support", "up")) -- its tenant is its name
  end)

  it("query_guard makes steps coarse and refuses what costs too much", function()
    start "query_guard"
    local answer = ask("ann", "GET",
      "/api/v1/query_range?query=vector(1)&start=0&end=8640000&step=60")
    assert.equal(200, answer.status)
    local values = json.decode(answer.body).data.result[1].values
    assert.equal(3600, values[2][1] - values[1][1])
    answer = ask("ann", "GET", "/api/v1/query?query=" ..
      escape "max_over_time(min_over_time(max_over_time(up[5m:1m])[5m:1m])[5m:1m])")
    assert.equal(422, answer.status)
    assert.is_truthy(answer.body:find("more than two subqueries", 1, true))
  end)

  it("record_by_job stores what dashboards ask for", function()
    start("record_by_job", { ['every = "30s"'] = 'every = "1s"',
      ['labels = { source'] = 'every = "1s", labels = { source' })
    local now = os.time()
    push(('up{job="a",i="1"} 1\nup{job="a",i="2"} 0\n' ..
      'http_requests_total{job="a",code="200"} 0 %d000\n' ..
      'http_requests_total{job="a",code="200"} 90 %d000\n' ..
      'http_requests_total{job="a",code="500"} 0 %d000\n' ..
      'http_requests_total{job="a",code="500"} 10 %d000\n'):format(now - 60, now, now - 60, now))
    assert.equal(0.5, wait_value 'job:up:ratio{job="a"}')
    assert.is_true(wait_value 'job:requests:rate5m{code="200"}' > 0)
    assert.equal(0.1, wait_value 'round(job:errors:share5m{source="rule"}, 0.01)')
  end)

  it("alert_targets tells an Alertmanager of targets that are down", function()
    hook = receiver.start { 503 }
    start("alert_targets", { ['every = "15s"'] = 'every = "1s"', ['hold = "2m"'] = 'hold = "1s"' },
      'alerts = { webhooks = "' .. hook.url .. '" },')
    push 'up{job="web",instance="web-1"} 0\nup{job="web",instance="web-2"} 1\n'
    local told = process.wait_for("the webhook", 20, function()
      for _, post in ipairs(hook:bodies()) do
        local alerts = post.status == 200 and json.decode(post.body)
        if alerts and alerts[1] then return alerts[1] end
      end
    end)
    assert.same({ alertname = "TargetDown", severity = "page", job = "web", instance = "web-1" },
      told.labels)
    assert.same({ summary = "web-1 of web is down" }, told.annotations)
    local rules = json.decode(ask("admin", "GET", "/api/v1/rules").body).data.groups
    assert.same({ "firing", "inactive" }, { rules[1].rules[1].state, rules[2].rules[1].state })
  end)

  it("result_mask hides people from all but support", function()
    start "result_mask"
    push('logins{email="bob@example.org"} 1\nlogins{email="eve@example.org"} 2\n' ..
      'orders{user_name="bob@example.org"} 3\n')
    assert.equal("bob@example.org", query("support", "logins == 1")[1].metric.email)
    local seen = query("ann", "logins == 1")[1].metric.email
    assert.is_truthy(seen:find("^person%-%d+$"), seen)
    -- The same person has the same name everywhere, and nobody can ask by the true one.
    assert.equal(seen, query("ann", "orders")[1].metric.user_name)
    assert.same({}, query("ann", 'logins{email="bob@example.org"}'))
    assert.equal("1", query("ann", 'logins{email="' .. seen .. '"}')[1].value[2])
  end)

  it("events_new_series counts who makes series", function()
    start("events_new_series", { ['"10m"'] = '"1s"', ["TOO_MANY = 1000"] = "TOO_MANY = 3" })
    local lines = {}
    for i = 1, 5 do lines[i] = ('x{job="busy",i="%d"} 1\n'):format(i) end
    push(table.concat(lines))
    process.wait_for("the count", 15, function()
      local most = query("admin", 'max_over_time(job:series_created:10m{job="busy"}[1m])')
      return #most == 1 and most[1].value[2] == "5"
    end)
    assert.is_truthy(one.process:output():find("busy made 5 series in ten minutes", 1, true),
      one.process:output())
    local metrics = one:request("GET", "/metrics", nil,
      { Authorization = "Bearer " .. TOKENS.support }).body
    assert.is_truthy(metrics:find('tidemark_script_series_created_total{job="busy"} 5', 1, true))
  end)

  it("downsample_by_age thins out what is old, and rates stay right across the seam", function()
    start("downsample_by_age", {}, 'storage = { retention = "forever", memory_target = "1MiB", ' ..
      'head_chunk_timeout = "1s", min_shrink_ratio = 0 },')
    local now = os.time()
    local seam = math.floor((now - 30 * 86400) / 300) * 300
    -- Three hours before and after the seam; the counter begins anew every 100 minutes.
    local lines = { ("requests_total 1 %d000\nroom_celsius 20 %d000\n"):format(now, now) }
    for i = -720, 720 do
      lines[#lines + 1] = ("requests_total %d %d000\nroom_celsius %d %d000\n"):format(
        (i + 720) % 400 * 3, seam + i * 15, i % 20, seam + i * 15)
    end
    push(table.concat(lines) .. filler(now))
    local function ask_at(text, at)
      return tonumber(query("admin", text:gsub("T", tostring(at)))[1].value[2])
    end
    local function rates(behind)
      local list = {}
      for at = seam - 7200, seam + 7200, 1800 do
        list[#list + 1] = ask_at("increase(requests_total[1h] @ T)", at + behind)
      end
      return list
    end
    local raw, raw_behind = rates(-1), rates(0)
    process.wait_for("the pass", 20, function()
      return ask_at("count_over_time(room_celsius[1h] @ T)", seam + 1) == 12 and
        ask_at("count_over_time(requests_total[1h] @ T)", seam + 1) < 20
    end)
    assert.equal(240, ask_at("count_over_time(room_celsius[1h] @ T)", seam + 3901))
    assert.equal(9.5, ask_at("avg_over_time(room_celsius[1h] @ T)", seam - 3599))
    local function compare(before, after, share)
      for i, value in ipairs(before) do
        assert.is_true(math.abs(value - after[i]) <= value * share,
          ("%d: %g %g"):format(i, value, after[i]))
      end
    end
    compare(raw, rates(-1), 0.01)
    -- Hours that begin just behind a sample, and go over to the dense part: the window up to the
    -- first sample that they have is too far for rate() to extrapolate.
    compare(raw_behind, rates(0), 300 / 3600 + 0.001)
    local removed = one:request("GET", "/metrics", nil,
      { Authorization = "Bearer " .. TOKENS.support }).body
      :match 'tidemark_removed_samples_total{reason="downsample"} (%d+)'
    assert.is_true(tonumber(removed) > 1300, removed)
  end)

  it("disk_pressure takes from dev first", function()
    -- No disk has so much free.
    start("disk_pressure", {}, 'storage = { retention = "forever", memory_target = "1MiB", ' ..
      'head_chunk_timeout = "1s", disk_low = "4PiB" },')
    local now = os.time()
    local lines = {}
    for i = 0, 2000 do
      for _, env in ipairs { "dev", "prod" } do
        lines[#lines + 1] = ('jobs_total{env="%s"} %d %d000\n'):format(env, i * i % 9973,
          now - 5 * 86400 + i * 60)
      end
    end
    push(table.concat(lines) .. filler(now))
    process.wait_for("the rule", 40, function()
      return #query("admin", 'max_over_time(jobs_total{env="dev"}[30d])') == 0
    end)
    assert.equal("2001", query("admin", 'count_over_time(jobs_total{env="prod"}[30d])')[1].value[2])
    local plan = json.decode(ask("admin", "POST", "/api/v1/admin/tsdb/plan", "").body).data
    assert.equal(2 ^ 52, plan.disk.low_bytes)
    assert.same({}, plan.disk_pressure)
    local metrics = one:request("GET", "/metrics", nil,
      { Authorization = "Bearer " .. TOKENS.support }).body
    assert.is_truthy(metrics:find('reason="disk_pressure"} 2001', 1, true))
    assert.is_truthy(metrics:find("tidemark_disk_low 1", 1, true))
  end)

  it("limit_per_tenant gives each tenant its share, and warns", function()
    start("limit_per_tenant", { ["SERIES = 100000"] = "SERIES = 10", ["series = 400000"] =
      "series = 20", ["SECOND = 50000"] = "SECOND = 100" })
    local function series(tenant, count)
      local lines = {}
      for i = 1, count do lines[i] = ('m{tenant="%s",i="%d"} 1\n'):format(tenant, i) end
      return ask("ann", "POST", "/api/v1/import/prometheus", table.concat(lines))
    end
    local answer = series("lab", 12)
    assert.equal(400, answer.status)
    local body = json.decode(answer.body)
    assert.same({ 10, { series_limit = 2 } }, { body.written, body.reasons })
    assert.is_truthy(body.error:find('limit "quota per tenant": {tenant="lab"} has the 10 series',
      1, true), body.error)
    assert.equal(204, series("web", 7).status)
    assert.equal(204, series("search", 20).status)
    assert.equal("10", query("admin", 'count(m{tenant="lab"})')[1].value[2])
    local lines = {}
    for i = 1, 1100 do
      lines[i] = ("x,tenant=lab2 value=1 %d000000000\n"):format(os.time() - 1101 + i)
    end
    answer = ask("ann", "POST", "/api/v2/write", table.concat(lines))
    assert.equal(429, answer.status, answer.body)
    assert.equal("1", answer.headers["retry-after"])
    assert.is_truthy(json.decode(answer.body).message:find('limit "rate per tenant"', 1, true))
    local metrics = process.wait_for("the warnings", 15, function()
      local text = one:request("GET", "/metrics", nil,
        { Authorization = "Bearer " .. TOKENS.support }).body
      return text:find('quota_warnings_total{limit="rate per tenant",tenant="lab2"} 1', 1, true) and
        text
    end)
    for _, line in ipairs {
      'tidemark_script_quota_warnings_total{limit="quota per tenant",tenant="lab"} 1',
      'tidemark_script_quota_warnings_total{limit="quota of search",tenant="search"} 1',
      'tidemark_limit_full_quotas{hook="limit",rule="quota per tenant"} 1',
      'tidemark_rule_series_total{hook="limit",rule="quota per tenant",action="refused"} 2',
    } do
      assert.is_truthy(metrics:find(line, 1, true), line)
    end
    assert.is_nil(metrics:find('tenant="web"} 1', 1, true))
  end)

  it("transform_sane_gauges leaves what was measured", function()
    start "transform_sane_gauges"
    local now = os.time()
    local lines = {}
    for i = 0, 59 do
      lines[#lines + 1] = ('room_celsius %s %d000\n'):format(i % 20 == 10 and "NaN" or
        20.04 + i / 7, now - 60 + i)
    end
    lines[#lines + 1] = 'hit_ratio 1.25\nhit_ratio{a="b"} 0.123456\nload_percent 12.5\n' ..
      'wait_ms{job="legacy"} 250\nwait_ms{job="new"} 250\n'
    push(table.concat(lines))
    local samples = query("ann", ("room_celsius[2m] @ %d"):format(now))[1].values
    local times, values = {}, {}
    for i, sample in ipairs(samples) do
      times[i], values[i] = sample[1] - now + 60, tonumber(sample[2])
    end
    assert.same({ 0, 11, 21, 31, 41, 51 }, times)
    assert.same({ 20, 21.6, 23, 24.5, 25.9, 27.3 }, values)
    local function value(text) return query("ann", text)[1].value[2] end
    assert.same({ "1", "0.1235", "0.125", "0.25", "250" }, { value "hit_ratio{a=''}",
      value "hit_ratio{a='b'}", value "load_percent", value "wait_ms{job='legacy'}",
      value "wait_ms{job='new'}" })
  end)

  it("func_hampel leaves out faults of measurement", function()
    start "func_hampel"
    local now = os.time()
    local lines = {}
    for i = 1, 20 do
      local value = i == 20 and 900 or 20 + i % 3
      lines[i] = ('celsius{room="a"} %d %d000\ncelsius{room="b"} %d %d000\n'):format(value,
        now - 600 + i * 30, 20 + i % 3, now - 600 + i * 30)
    end
    push(table.concat(lines))
    local function hampel(room)
      return query("ann", ('hampel_over_time(celsius{room="%s"}[10m] @ %d, 3)'):format(room,
        now))[1].value[2]
    end
    assert.equal("21", hampel "a")
    assert.equal("22", hampel "b")
  end)
end)
