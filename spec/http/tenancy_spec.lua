-- Two tenants in one server, kept apart by scripts/query_tenants.lua and by tenants.label: whatever
-- one of them reads is, to the byte, what a server says that holds nothing of the other. More
-- queries than read_door_spec.lua has: random ones, those of the conformance material; every route.
local adversary = require "spec.support.adversary"
local conformance = require "spec.support.conformance"
local demo_data = require "spec.support.demo_data"
local file = require "spec.support.file"
local process = require "spec.support.process"
local protobuf = require "spec.support.protobuf"
local random_query = require "spec.promql.random_query"
local remote_write = require "spec.support.remote_write"
local server = require "spec.support.server"

local escape, bytes, number = server.escape, protobuf.bytes, protobuf.number
local ROUNDS = tonumber(os.getenv "ROUNDS") or os.getenv "LONG" == "1" and 5000 or 150
local NOW = os.time()
local FROM = NOW - 900

-- --- servers -------------------------------------------------------------------------------------

local TOKENS = { a = "token-of-ann-0123", b = "token-of-bob-0123", chief = "token-of-chief-01" }

-- Bounds that the data of both, but not of one, would exceed.
local CONFIG = [[
  local all = { "push", "read", "admin" }
  return { listen = "127.0.0.1:PORT", %s query = { max_series = 150, max_samples = 20000 },
    http = { users = {
      { user = "ann", token = "token-of-ann-0123", roles = all, tenant = "a" },
      { user = "bob", token = "token-of-bob-0123", roles = all, tenant = "b" },
      { user = "admin", token = "token-of-chief-01", roles = all, tenant = "*" } } } }]]

local RULES = [[
  tide.alert("Up", { expr = '{__name__=~"up|secret"} > 0', every = "1s",
    annotations = { text = "{{ $labels.job }} {{ $value }}" } })]]

local kinds = {
  ["scripts/query_tenants.lua"] = { script = true, label = function(tenant) return tenant end },
  -- Whatever senders say.
  ["tenants.label"] = { label = function(tenant) return tenant == "a" and "b" or "a" end },
}

local function open(way)
  way.folder = process.folder()
  if way.script then
    local handle = assert(io.open(way.folder .. "/a.lua", "w"))
    handle:write(file.read "scripts/query_tenants.lua")
    handle:close()
  end
  local handle = assert(io.open(way.folder .. "/b.lua", "w"))
  handle:write(RULES)
  handle:close()
  return server.configured(CONFIG:format('scripts = "' .. way.folder .. '", ' ..
    (way.script and "" or 'tenants = { label = "tenant" }, '))):ready()
end

local function ask(one, who, method, path, body, headers)
  local sent = { Authorization = "Bearer " .. TOKENS[who] }
  for name, value in pairs(headers or {}) do sent[name] = value end
  return one:request(method, path, body, sent)
end

-- --- data ----------------------------------------------------------------------------------------

-- Lines of series of a tenant: what the adversary's queries name, demo series, random ones.
local function lines_of(way, tenant)
  local lines = {}
  local function put(labels, time_ms, value)
    local list = {}
    for name, text in pairs(labels) do
      if name ~= "__name__" then list[#list + 1] = ("%s=%q"):format(name, text) end
    end
    list[#list + 1] = ("tenant=%q"):format(way.label(tenant))
    table.sort(list)
    lines[#lines + 1] = ("%s{%s} %.17g %d\n"):format(labels.__name__, table.concat(list, ","),
      value, time_ms)
  end
  local own = tenant == "a" and "public" or "secretb"
  for minute = 0, 9 do
    local at = (FROM + minute * 60) * 1000
    for i = 1, 2 do
      put({ __name__ = "up", job = own, instance = "i" .. i }, at,
        (tenant == "a" and 0 or 77000) + i)
    end
    put({ __name__ = "target_info", job = own, instance = "i1", data = own .. "_info" }, at, 1)
    if tenant == "b" then
      put({ __name__ = "secret", job = own, instance = "i1", secretb_label = "x" }, at, 77003)
      put({ __name__ = "target_info", job = "public", instance = "i1", data = "secretb_of_a" },
        at, 1)
      for i = 1, 40 do
        put({ __name__ = "flood", job = own, ["secretb_" .. i] = "x", i = tostring(i) }, at, i)
      end
    end
  end
  for _, one in ipairs(demo_data.series(FROM * 1000, 20, 30000, tenant == "a" and 42 or 43)) do
    for _, sample in ipairs(one) do put(one.labels, sample[1], sample[2]) end
  end
  local random = random_query.new { seed = tenant == "a" and 1 or 2 }
  for _, one in ipairs(random:series { finite = true }) do
    for _, sample in ipairs(one.samples) do
      if sample[2] == sample[2] and sample[2] ~= random_query.STALE then
        put(one.labels, FROM * 1000 + sample[1] / 4, sample[2])
      end
    end
  end
  return table.concat(lines)
end

local function push(one, tenant, text)
  local answer = ask(one, tenant, "POST", "/api/v1/import/prometheus", text)
  assert.equal(204, answer.status, answer.body)
end

-- --- comparing -----------------------------------------------------------------------------------

local CHANGES = { date = true, ["x-request-id"] = true }

for what, way in pairs(kinds) do describe("a tenant behind " .. what, function()
  local both, alone

  setup(function()
    both, alone = open(way), open(way)
    push(both, "b", lines_of(way, "b"))
    push(both, "a", lines_of(way, "a"))
    push(alone, "a", lines_of(way, "a"))
    local function count(one)
      local answer = ask(one, "chief", "GET", "/api/v1/export?match[]=" ..
        escape '{__name__=~"up|secret|flood"}')
      return select(2, answer.body:gsub("\n", ""))
    end
    assert.same({ 2 + 2 + 1 + 40, 2 }, { count(both), count(alone) })
  end)
  teardown(function()
    for _, one in ipairs { both, alone } do
      assert.equal(0, one:stop())
      process.remove(one.folder)
    end
    process.remove(way.folder)
  end)

  -- The answers' statuses, heads and bytes are the same.
  local function same(method, path, body, headers)
    local expected, got = ask(alone, "a", method, path, body, headers),
      ask(both, "a", method, path, body, headers)
    local where = method .. " " .. path .. " " .. (body and #body < 1000 and body or "")
    assert.equal(expected.status, got.status, where .. "\n" .. got.body)
    assert.equal(expected.body, got.body, where)
    for name, value in pairs(expected.headers) do
      if not CHANGES[name] then assert.equal(value, got.headers[name], where .. " " .. name) end
    end
    return got
  end

  local FORM = { ["Content-Type"] = "application/x-www-form-urlencoded" }

  local function same_query(text)
    local query = "query=" .. escape(text)
    local instant = same("POST", "/api/v1/query", query .. "&time=" .. FROM + 570, FORM)
    same("GET", "/api/v1/query_range?" .. query .. "&start=" .. FROM .. "&end=" .. FROM + 600 ..
      "&step=60")
    return instant
  end

  it("gets the same by the adversary's queries", function()
    for _, text in ipairs(adversary.queries) do
      same_query(text:find("%%d") and text:format(FROM + 300) or text)
    end
  end)

  it("gets the same by random queries", function()
    local queries = random_query.new { seed = tonumber(os.getenv "SEED") or 99, whole = true,
      base_s = FROM }
    local some = 0
    for _ = 1, ROUNDS do
      local text = queries:vector(queries:number(1, 4))
      local answer = same("POST", "/api/v1/query", "query=" .. escape(text) .. "&time=" ..
        FROM + queries:number(0, 900), FORM)
      if answer.status == 200 and answer.body:find("value", 1, true) then some = some + 1 end
    end
    assert.is_true(some > ROUNDS / 3, "too many find nothing: " .. some)
  end)

  it("gets the same by the queries of the conformance material", function()
    local list = conformance.json "compliance_queries.json"
    if not list then
      pending(conformance.missing)
      return
    end
    for _, one in ipairs(list) do same_query(one.query) end
  end)

  it("gets the same by selectors, in every form and route", function()
    local names = { "tenant", "job", "__name__", "secretb_label", "data", "secretb_1", "instance" }
    for _, selector in ipairs(adversary.selectors) do
      local match = "match[]=" .. escape(selector)
      for _, more in ipairs { "", "&match[]=up", "&match[]=" .. escape '{tenant=~"a|b"}',
        "&start=" .. FROM .. "&end=" .. NOW, "&limit=1" } do
        same("GET", "/api/v1/series?" .. match .. more)
        same("POST", "/api/v1/series", match .. more, FORM)
        same("GET", "/api/v1/labels?" .. match .. more)
        same("POST", "/api/v1/labels", match .. more, FORM)
        same("GET", "/federate?" .. match .. more)
        same("POST", "/federate", match .. more, FORM)
        same("GET", "/api/v1/export?" .. match .. more)
        same("POST", "/api/v1/export", match .. more, FORM)
        same("GET", "/api/v1/query_exemplars?query=" .. escape(selector))
      end
      for _, name in ipairs(names) do
        same("GET", "/api/v1/label/" .. name .. "/values?" .. match)
      end
    end
    same("GET", "/api/v1/labels")
    for _, name in ipairs(names) do same("GET", "/api/v1/label/" .. name .. "/values") end
  end)

  it("gets the same by remote read", function()
    for kind, value in pairs { [0] = "b", "a", ".*", "a" } do
      local matcher = bytes(3, number(1, kind) .. bytes(2, "tenant") .. bytes(3, value))
      local query = bytes(1, number(1, FROM * 1000) .. number(2, NOW * 1000) .. matcher)
      for _, accepted in ipairs { "", number(2, 1) } do
        same("POST", "/api/v1/read", remote_write.snappy(query .. query .. accepted),
          { ["Content-Encoding"] = "snappy" })
      end
    end
  end)

  it("gains nothing by fields of the head", function()
    for _, name in ipairs { "X-Scope-OrgID", "X-Tenant", "X-Prometheus-Tenant", "X-WEBAUTH-USER",
      "X-Forwarded-User", "X-Dashboard-Uid", "X-Panel-Id", "Cookie", "Proxy-Authorization" } do
      for _, value in ipairs { "b", "*", "admin", "Bearer " .. TOKENS.b } do
        same("GET", "/api/v1/series?match[]=" .. escape '{__name__=~".+"}', nil,
          { [name] = value })
      end
    end
    same("GET", "/api/v1/series?match[]=up&tenant=b&user=bob&extra_filters[]=" ..
      escape '{tenant="b"}' .. "&extra_label=tenant=b")
  end)

  it("sees nothing of others in metadata, rules, alerts and all else that may be read", function()
    push(both, "b", "# TYPE secretb_metric counter\n# HELP secretb_metric secretb\n" ..
      "# TYPE up gauge\n")
    push(both, "a", "# TYPE up gauge\n")
    push(alone, "a", "# TYPE up gauge\n")
    local now = os.time()
    local alive = 'up{tenant="%s",job="%s",instance="i9"} %d %d000\n'
    push(both, "b", alive:format(way.label "b", "secretb", 77009, now))
    push(both, "a", alive:format(way.label "a", "public", 9, now))
    push(alone, "a", alive:format(way.label "a", "public", 9, now))
    process.wait_for("the alert of both", 20, function()
      local text = ask(both, "chief", "GET", "/api/v1/alerts").body
      return text:find("secretb", 1, true) and text:find("public", 1, true)
    end)
    for _, path in ipairs { "/api/v1/metadata", "/api/v1/metadata?metric=secretb_metric",
      "/api/v1/format_query?query=secretb", "/api/v1/parse_query?query=up", "/api/v1/targets",
      "/api/v1/targets/metadata", "/api/v1/scrape_pools", "/api/v1/alertmanagers",
      "/api/v1/notifications", "/api/v1/features", "/api/v1/status/tsdb",
      "/api/v1/status/tsdb?limit=100", "/api/v1/status/buildinfo", "/graph", "/" } do
      same("GET", path)
    end
    for _, path in ipairs { "/api/v1/rules", "/api/v1/alerts", "/api/v1/rules?type=alert",
      "/api/v1/status/runtimeinfo", "/metrics" } do
      local body = ask(both, "a", "GET", path).body
      assert.is_nil(body:find("secretb", 1, true), path .. body)
      assert.is_nil(body:find("7700", 1, true), path)
    end
  end)

  if not way.script then
    it("may not use what concerns all, with whatever role", function()
      local seen = 0
      for pattern, verbs, flags in file.read("core/http/routes.c"):gmatch(
        '\n    {"(/[^"]*)",%s*([%u_ |]+),%s*HTTP_ROLE_ADMIN,%s*([%u |0]+),') do
        local verb = verbs:find "GET" and "GET" or verbs:find "POST" and "POST" or "DELETE"
        local answer = ask(both, "a", verb, pattern)
        seen = seen + 1
        if not flags:find "TENANT" then
          assert.equal(403, answer.status, verb .. " " .. pattern .. " " .. answer.body)
        end
        assert.is_nil(answer.body:find("secretb", 1, true), pattern)
      end
      assert.is_true(seen > 20, seen)
      assert.equal(403, ask(both, "a", "GET", "/metrics").status)
      assert.equal(200, ask(both, "chief", "GET", "/metrics").status)
      assert.equal(200, ask(both, "chief", "GET", "/api/v1/status/queries").status)
    end)

    it("deletes its own only", function()
      assert.equal(204, ask(both, "a", "POST", "/api/v1/admin/tsdb/delete_series?match[]=" ..
        escape '{__name__=~"up|secret|flood"}').status)
      local left = ask(both, "b", "GET", "/api/v1/series?match[]=" ..
        escape '{__name__=~"up|secret|flood"}').body
      assert.equal(3 + 1 + 40, select(2, left:gsub("__name__", "")))
      assert.is_nil(left:find("public", 1, true))
    end)
  end
end) end
