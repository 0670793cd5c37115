-- Clients that want to hurt, by the hundred, against the product: memory stays bounded, and a good
-- client is served meanwhile. LONG=1 has more and larger ones.
local crowd = require "spec.support.crowd"
local server = require "spec.support.server"
local process = require "spec.support.process"

local LONG = os.getenv("LONG") == "1"
local SANITIZED = os.getenv("SANITIZER") ~= nil
local PUSH = "/api/v1/import/prometheus"

local tide, base, cpu

local function rss()
  local text = io.open("/proc/" .. tide.process.pid .. "/status"):read("*a")
  return tonumber(text:match("VmRSS:%s+(%d+)")) * 1024
end

-- The server, and what it holds before anybody hurts it.
local function start(http)
  tide = server.configured('return { listen = "127.0.0.1:PORT", storage = { memory_target = ' ..
    '"64MiB" }, http = { workers = 2, connections = 20000, connections_per_client = 20000, ' ..
    "drain_timeout = \"1s\", " .. (http or "") .. " } }"):ready()
  assert.equal(204, tide:request("POST", PUSH, "up 1\n").status)
  base, cpu = rss(), tide.process:usage()
end

local function stop()
  assert.equal(0, tide:stop())
  process.remove(tide.folder)
end

-- A figure for who reads the log of a run, and its bound.
local function memory(what, most)
  local _, peak = tide.process:usage()
  local seconds = tide.process:usage() - cpu
  if os.getenv("FIGURES") then
    print(("\n%s: %.1f MB above %.1f MB, %.2f s of CPU"):format(what, (peak - base) / 1e6,
      base / 1e6, seconds))
  end
  if not SANITIZED then assert.is_true(peak - base < most, what .. ": " .. (peak - base)) end
end

-- What everybody else does goes on.
local number = 0
local function good_client()
  number = number + 1
  assert.equal(204, tide:request("POST", PUSH, ("good %d\n"):format(number)).status)
  local answer = tide:request("GET", "/api/v1/query?query=good")
  assert.equal(200, answer.status)
  assert.truthy(answer.body:find('"' .. number .. '"', 1, true), answer.body)
end

describe("hostile clients:", function()
  after_each(stop)

  it("slowloris, in heads", function()
    start('header_timeout = "400ms"')
    local count = LONG and 5000 or 500
    local all = crowd.open(tide.port, count)
    assert.equal(count, all:send("GET /api/v1/labels HTTP/1.1\r\nHost: a\r\n"))
    good_client()
    for _, answer in ipairs(all:drain(20, "X-A: b\r\n")) do
      assert.truthy(answer:find("^HTTP/1.1 408 "), answer)
    end
    good_client()
    all:close()
    memory(count .. " dripping heads", count * 20000 + 4e6)
  end)

  it("slowloris, in bodies", function()
    start('body_timeout = "400ms"')
    local count = LONG and 5000 or 500
    local all = crowd.open(tide.port, count)
    all:send("POST " .. PUSH .. " HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\nup 1")
    good_client()
    for _, answer in ipairs(all:drain(20, "1")) do
      assert.truthy(answer:find("^HTTP/1.1 408 "), answer)
    end
    good_client()
    all:close()
    memory(count .. " dripping bodies", count * 20000 + 4e6)
  end)

  it("10,000 idle connections", function()
    start()
    local all = crowd.open(tide.port, 10000)
    process.wait_for("all of them", 20, function()
      local open = tide:request("GET", "/metrics").body:match("tidemark_http_connections (%d+)")
      return tonumber(open) == all.open + 1
    end)
    good_client()
    if all.open < 10000 then pending("this process may open " .. all.open .. " only") end
    local each = (rss() - base) / all.open
    if os.getenv("FIGURES") then print(("\n%d idle: %.0f bytes each"):format(all.open, each)) end
    if not SANITIZED then assert.is_true(each < 1500, each .. " bytes each") end
    -- They may all speak at once, too.
    assert.equal(all.open, all:send("GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n"))
    for _, i in ipairs { 1, math.floor(all.open / 2), all.open } do
      assert.is_true(all:wait(i, 20))
      assert.truthy(all:receive(i):find("is Healthy", 1, true))
    end
    all:close()
    memory("10,000 connections", 30e6)
  end)

  it("garbage behind good requests, pipelined", function()
    start()
    math.randomseed(41)
    local count = LONG and 2000 or 200
    local all = crowd.open(tide.port, count)
    local sent = {}
    all:send(function(i)
      local parts = {}
      for _ = 1, math.random(0, 20) do
        parts[#parts + 1] = "GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n"
      end
      sent[i] = #parts
      for _ = 1, math.random(1, 300) do parts[#parts + 1] = string.char(math.random(0, 255)) end
      return table.concat(parts) .. "\n\r\n\r\n"
    end)
    for i, answer in ipairs(all:drain(20)) do
      local _, good = answer:gsub("HTTP/1.1 200 ", "")
      assert.equal(sent[i], good)
      assert.truthy(answer:find("HTTP/1.1 4%d%d [%w ]+\r\n[^\n]*\r\n.*\"status\":\"error\""))
    end
    good_client()
    all:close()
    memory(count .. " of garbage", 8e6)
  end)

  it("bombs of gzip and snappy", function()
    start('max_decompressed = "16MiB"')
    local size = LONG and "1G" or "200M"
    local pipe = io.popen("head -c " .. size .. " /dev/zero | gzip -1")
    local gzip = pipe:read("*a")
    pipe:close()
    -- One literal byte, then copies of 64 bytes from one byte back: 21 bytes out of one.
    local copies = ("\254\1\0"):rep(1e6)
    local function snappy(length)
      local out = {}
      repeat
        out[#out + 1] = string.char(length % 128 + (length >= 128 and 128 or 0))
        length = math.floor(length / 128)
      until length == 0
      return table.concat(out) .. "\0a" .. copies
    end
    local bombs = {
      { PUSH, "gzip", gzip, 413 },
      { "/write", "gzip", gzip, 413 },
      { "/api/v1/import", "gzip", gzip, nil }, -- taken in pieces: no limit on the whole
      { "/api/v1/write", "snappy", snappy(1 + 64e6), 413 }, -- as long as it says
      { "/api/v1/write", "snappy", snappy(2 ^ 32 - 1), 413 }, -- it never comes
      { "/api/v1/write", "snappy", snappy(10e6), 400 }, -- more than it says
      { "/v1/metrics", "gzip", gzip, 413 },
    }
    for _, bomb in ipairs(bombs) do
      local answer = tide:request("POST", bomb[1], bomb[3], { ["Content-Encoding"] = bomb[2] })
      assert.is_true(answer.status >= 400 and answer.status < 500, bomb[1] .. ": " .. answer.status)
      if bomb[4] then assert.equal(bomb[4], answer.status, bomb[1]) end
    end
    good_client()
    memory("bombs", 60e6)
  end)

  it("bodies of 100 MB", function()
    start('max_bodies = "64MiB"')
    local huge = ("x"):rep(100000000)
    -- Told beforehand: refused by the head alone. In chunks: at the limit.
    local one = crowd.open(tide.port, 1)
    one:send("POST " .. PUSH .. " HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
    assert.is_true(one:wait(1, 10))
    assert.truthy(one:receive(1):find("^HTTP/1.1 413 "))
    one:close()
    one = crowd.open(tide.port, 1)
    one:send("POST " .. PUSH .. " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" ..
      "5f5e100\r\n")
    one:pour(1, huge, 5)
    assert.truthy(one:drain(10)[1]:find("^HTTP/1.1 [45][10]3 "))
    one:close()
    -- As large as one may be, by many at once: not all may be held.
    local count = LONG and 100 or 8
    local all = crowd.open(tide.port, count)
    all:send("POST " .. PUSH .. " HTTP/1.1\r\nHost: a\r\nContent-Length: 60000000\r\n\r\n")
    local piece = huge:sub(1, 20000000)
    for i = 1, count do all:pour(i, piece, 2) end
    good_client()
    local refused = 0
    for i = 1, count do
      if all:receive(i):find("^HTTP/1.1 503 ") then refused = refused + 1 end
    end
    assert.is_true(refused >= count - 4, refused .. " were refused")
    all:close()
    good_client()
    memory("bodies of 100 MB", 150e6)
    -- And what they held is free again.
    process.wait_for("room", 10, function()
      return tide:request("POST", PUSH, ("m{i=\"1\"} 1\n"):rep(1000000)).status == 204
    end)
  end)

  it("a reader of a large export that stands still", function()
    start('body_timeout = "2s"')
    local now, lines = os.time() * 1000, {}
    local series, samples = LONG and 2000 or 200, 5000
    for s = 1, series do
      local values, times = {}, {}
      for i = 1, samples do
        values[i], times[i] = (s * 7919 + i * 104729) % 1000003, now - (samples - i) * 1000
      end
      lines[#lines + 1] = ('{"metric":{"__name__":"big","s":"%d"},"values":[%s],"timestamps":[%s]}')
        :format(s, table.concat(values, ","), table.concat(times, ",\n"):gsub("\n", ""))
      if #lines == 100 then
        local body = table.concat(lines, "\n") .. "\n"
        assert.equal(204, tide:request("POST", "/api/v1/import", body).status)
        lines = {}
      end
    end
    base = rss()
    local path = "/api/v1/export?match[]=big&max_rows_per_line=1000"
    local all = crowd.open(tide.port, 20)
    all:send("GET " .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n")
    for i = 1, 20 do assert.is_true(all:wait(i, 20)) end
    good_client()
    process.wait_for("the end of those who stand", 20, function()
      local text = tide:request("GET", "/metrics").body
      local cut = text:match('rejected_total{reason="timeout"} (%d+)')
      return tonumber(cut) >= 20
    end)
    good_client()
    memory("20 readers that stand still", 40e6)
    all:close()
    -- Who reads gets all of it.
    local answer = tide:request("GET", path)
    local _, points = answer.body:gsub("[%d]+[,%]]", "")
    assert.equal(series * samples * 2, points)
    if os.getenv("FIGURES") then print(("\nexport of %.0f MB"):format(#answer.body / 1e6)) end
  end)
end)
