-- Limits and transforms in a running server: eight senders at once, every format's answer, crashes,
-- reloads under load.
local json = require "cjson"
local process = require "spec.support.process"
local protobuf = require "spec.support.protobuf"
local remote_write = require "spec.support.remote_write"
local server = require "spec.support.server"

local folder, one

local function write(text)
  local file = assert(io.open(folder .. "/.new", "w"))
  file:write(text)
  file:close()
  assert(os.rename(folder .. "/.new", folder .. "/a.lua")) -- a reload may be reading
end

-- A server on its folder with these rules.
local function start(text, ...)
  if text then
    folder = process.folder()
    write(text)
  end
  one = server.start(one and one.folder, "--scripts", folder, ...)
end

before_each(function() one = nil end)
after_each(function()
  if not one then return end
  assert.equal(0, one:stop())
  process.remove(folder)
  process.remove(one.folder)
end)

local function escape(text)
  return (text:gsub("[^%w]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

local function value(text)
  local answer = one:request("GET", "/api/v1/query?query=" .. escape(text))
  local result = json.decode(answer.body).data.result
  return result[1] and tonumber(result[1].value[2])
end

local function metric(line)
  local body = one:request("GET", "/metrics").body
  return tonumber(body:match("\n" .. line:gsub("%p", "%%%0") .. " (%S+)"))
end

-- A body of series m{tenant,i} for i from `from` to `to`.
local function body_of(tenants, from, to)
  local lines = {}
  for i = from, to do
    for _, tenant in ipairs(tenants) do
      lines[#lines + 1] = ('m{tenant="%s",i="%d"} 1\n'):format(tenant, i)
    end
  end
  return table.concat(lines)
end

-- Sends all bodies at once, each on a connection of its own; the answers.
local function push_at_once(bodies)
  local connections, answers = {}, {}
  for i = 1, #bodies do connections[i] = one:connect(30) end
  for i, body in ipairs(bodies) do
    connections[i]:send("POST /api/v1/import/prometheus HTTP/1.1\r\nHost: spec\r\n" ..
      "Content-Length: " .. #body .. "\r\n\r\n" .. body)
  end
  for i, connection in ipairs(connections) do
    answers[i] = connection:answer("POST")
    connection:close()
  end
  return answers
end

describe("limits of a server", function()
  it("are exact with eight senders at once, and after a crash", function()
    start 'tide.limit("x", { by = "tenant", series = 700 })'
    for round = 1, 3 do
      local bodies = {}
      for i = 1, 8 do -- overlapping, each in another order of tenants
        bodies[i] = body_of(i % 2 == 0 and { "a", "b", "c" } or { "c", "b", "a" }, i * 100,
          i * 100 + 299)
      end
      local written, refused = 0, 0
      for _, answer in ipairs(push_at_once(bodies)) do
        local told = answer.status == 204 and { written = 900, refused = 0 } or
          json.decode(answer.body)
        written, refused = written + told.written, refused + told.refused
      end
      assert.equal(8 * 900, written + refused)
      assert.is_true(refused > 0)
      for _, tenant in ipairs { "a", "b", "c" } do
        assert.equal(700, value(('count(m{tenant="%s"})'):format(tenant)), tenant .. round)
      end
    end
    assert.equal(3, metric 'tidemark_limit_full_quotas{hook="limit",rule="x"}')
    one.process:kill()
    start()
    assert.equal(3, metric 'tidemark_limit_full_quotas{hook="limit",rule="x"}')
    assert.equal(400, push_at_once({ 'm{tenant="a",i="new"} 1\n' })[1].status)
    assert.equal(204, push_at_once({ 'm{tenant="d",i="new"} 1\n' })[1].status)
    assert.equal(700, value 'count(m{tenant="a"})')
  end)

  it("let a refused series in when one was deleted", function()
    start 'tide.limit("x", { series = 2 })'
    assert.equal(204, push_at_once({ 'a 1\nb 1\n' })[1].status)
    for _ = 1, 2 do assert.equal(400, push_at_once({ 'c 1\n' })[1].status) end
    assert.equal(204, one:request("POST", "/api/v1/admin/tsdb/delete_series?match[]=a", "").status)
    assert.equal(204, push_at_once({ 'c 1\n' })[1].status)
    assert.equal(400, push_at_once({ 'd 1\n' })[1].status)
  end)

  it("tell each kind of sender what it understands", function()
    start([[tide.limit("rate", { match = "r", samples_per_second = 1, burst = "1s" })
      tide.limit("series", { match = "s", series = 0 })]])
    local now = os.time() * 1000
    local function push_remote(name)
      local series = { labels = { __name__ = name } }
      for i = 1, 9 do series[i] = { now - 10 + i, i } end
      local answer = one:request("POST", "/api/v1/write", remote_write.body { series },
        { ["Content-Encoding"] = "snappy", ["Content-Type"] = "application/x-protobuf" })
      return { answer.status, answer.headers["retry-after"] }, answer.body
    end
    assert.same({ 429, "1" }, (push_remote "r"))
    local status, text = push_remote "s"
    assert.same({ 400 }, status)
    assert.is_truthy(text:find("series_limit", 1, true), text)
    -- A sender that sends all of it again has everything in the end, for repeats are free.
    process.wait_for("all samples", 30, function() return push_remote("r")[1] == 204 end)
    assert.equal(9, value "count_over_time(r[1m])")
  end)

  it("tell OTLP's exporters to come again", function()
    start 'tide.limit("rate", { match = "o", samples_per_second = 1, burst = "1s" })'
    local points = ""
    for i = 1, 9 do
      points = points .. protobuf.bytes(1, protobuf.fixed(3, (os.time() - i) * 1e9) ..
        protobuf.double(4, i))
    end
    local gauge = protobuf.bytes(2, protobuf.bytes(1, "o") .. protobuf.bytes(5, points))
    local answer = one:request("POST", "/v1/metrics", protobuf.bytes(1, protobuf.bytes(2, gauge)),
      { ["Content-Type"] = "application/x-protobuf" })
    assert.same({ 429, "1" }, { answer.status, answer.headers["retry-after"] })
    local said = protobuf.read(answer.body)
    assert.equal(14, said[1][1]) -- UNAVAILABLE
    assert.is_truthy(said[2][1]:find('limit "rate"', 1, true))
  end)

  it("tell Influx' senders to come again, by the status that each of them knows", function()
    start 'tide.limit("rate", { by = "db", samples_per_second = 1, burst = "1s" })'
    local now, list = os.time(), {}
    for i = 1, 9 do list[i] = ("m value=%d %d000000000\n"):format(i, now - i) end
    local answer = one:request("POST", "/write?db=x", table.concat(list))
    assert.same({ 503, "1" }, { answer.status, answer.headers["retry-after"] })
    assert.is_truthy(json.decode(answer.body).error:find('limit "rate"', 1, true))
    answer = one:request("POST", "/api/v2/write?bucket=y", table.concat(list))
    assert.same({ 429, "1" }, { answer.status, answer.headers["retry-after"] })
    assert.equal("too many requests", json.decode(answer.body).code)
  end)

  it("stay in force through a reload with a broken script under load; no request fails", function()
    start 'tide.limit("x", { by = "tenant", series = 50 })'
    assert.equal(400, push_at_once({ body_of({ "a" }, 1, 60) })[1].status)
    for round = 1, 12 do
      if round % 3 == 0 then
        write("oops(")
      else
        write('tide.limit("x", { by = "tenant", series = 50 }) ' ..
          'tide.transform("y", { match = "n", scale = ' .. round .. " })")
      end
      local bodies = {}
      for i = 1, 8 do bodies[i] = body_of({ "a" }, 1, 50 + i) .. "n{i='" .. i .. "'} 1\n" end
      one.process:signal(1)
      for _, answer in ipairs(push_at_once(bodies)) do
        assert.equal(400, answer.status)
        assert.is_true(json.decode(answer.body).written >= 50, answer.body)
      end
      assert.equal(50, value 'count(m{tenant="a"})')
    end
    write('tide.limit("x", { by = "tenant", series = 60 })')
    assert.equal(200, one:request("POST", "/-/reload", "").status)
    assert.equal(204, push_at_once({ body_of({ "a" }, 1, 60) })[1].status)
  end)

  it("say in the console what they would do", function()
    start [[tide.limit("x", { by = "tenant", series = 2 })
      tide.transform("y", { match = "m", round = 1 })]]
    push_at_once { body_of({ "a" }, 1, 2) }
    local pipe = io.popen(("env -u LD_PRELOAD %s/tidemark console --socket %s/console.sock " ..
      "--json --eval '%s' 2>&1"):format(os.getenv("BUILD") or "build", one.folder,
      [[return tide.server.intake "{__name__=\"m\", tenant=\"a\"}", tide.server.quotas(5)]]))
    local said = json.decode(pipe:read("*a"))
    pipe:close()
    assert.same({ { hook = "transform", rule = "y", outcome = "applies", text = "rounds to 0.1" },
      { hook = "limit", rule = "x", outcome = "full",
        text = "2 of 2 series; a new one is refused" } }, said.values and said.values[1] or said[1])
    assert.same({ { rule = "x", labels = { tenant = "a" }, series = 2, series_bound = 2 } },
      said.values and said.values[2] or said[2])
  end)
end)

describe("quotas under threads", function()
  it("never hold too many, and sum up to what is in memory", function()
    local build, sanitizer = os.getenv("BUILD") or "build", os.getenv("SANITIZER") or ""
    local tool = build .. "/tools/quota_threads"
    assert(os.execute(("make -s SANITIZER='%s' %s"):format(sanitizer, tool)) == 0)
    local made = process.folder()
    local pipe = io.popen(("env -u LD_PRELOAD timeout 120 %s %s %d 2>&1"):format(tool, made,
      sanitizer == "" and 80 or 60))
    local text = pipe:read("*a")
    pipe:close()
    process.remove(made)
    assert.equal("accepted some refused some archived some wrong 0\n", text)
  end)
end)
