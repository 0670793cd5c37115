-- Limits, deadlines, codings, back-pressure and the drain of the door.
local process = require "spec.support.process"
local server = require "spec.support.server"
local socket = require "socket"
local ffi = require "ffi"

ffi.cdef [[
  unsigned long compressBound(unsigned long len);
  int compress2(char *out, unsigned long *out_len, const char *in, unsigned long len, int level);
]]
local zlib = ffi.load("z.so.1")

local function deflate(text)
  local len = ffi.new("unsigned long[1]", zlib.compressBound(#text))
  local out = ffi.new("char[?]", tonumber(len[0]))
  assert(zlib.compress2(out, len, text, #text, 9) == 0)
  return ffi.string(out, len[0])
end

-- By the gzip program: another implementation than the server's.
local function gzip(text, command)
  local from, to = os.tmpname(), os.tmpname()
  local file = assert(io.open(from, "wb"))
  file:write(text)
  file:close()
  os.execute((command or "gzip -9 -c") .. " < " .. from .. " > " .. to)
  file = assert(io.open(to, "rb"))
  local out = file:read("*a")
  file:close()
  os.remove(from)
  os.remove(to)
  return out
end

describe("the door", function()
  local door

  describe("with limits on bodies", function()
    setup(function() door = server.door("decompressed_bytes=1000000") end)
    teardown(function() assert.equal(0, door:stop()) end)

    it("inflates gzip, gzip of two members and deflate", function()
      local text = ("hello %d, "):rep(1000)
      local whole = door:request("POST", "/echo", gzip(text), { ["Content-Encoding"] = "gzip" })
      assert.equal(text, whole.body)
      local two = gzip(text) .. gzip("and more")
      assert.equal(text .. "and more",
        door:request("POST", "/echo", two, { ["Content-Encoding"] = "gzip" }).body)
      assert.equal(text,
        door:request("POST", "/echo", deflate(text), { ["Content-Encoding"] = "deflate" }).body)
    end)

    it("refuses small bodies that would become huge", function()
      local huge = ("\0"):rep(3000000)
      local gzipped = gzip(huge)
      assert.is_true(#gzipped < 10000)
      assert.equal(413,
        door:request("POST", "/echo", gzipped, { ["Content-Encoding"] = "gzip" }).status)
      assert.equal(413,
        door:request("POST", "/echo", deflate(huge), { ["Content-Encoding"] = "deflate" }).status)
      -- Snappy says its length first: 2^32 - 1.
      assert.equal(413, door:request("POST", "/echo", "\255\255\255\255\15\0a",
        { ["Content-Encoding"] = "snappy" }).status)
    end)

    it("refuses what is not the coding it claims to be", function()
      local good = gzip("hello")
      for _, body in ipairs { "hello", good:sub(1, -5), good .. "x" } do
        assert.equal(400,
          door:request("POST", "/echo", body, { ["Content-Encoding"] = "gzip" }).status)
      end
      assert.equal(400, door:request("POST", "/echo", "\255\6\0\0sNaPpY",
        { ["Content-Encoding"] = "snappy" }).status)
      assert.equal(415, door:request("POST", "/echo", "x", { ["Content-Encoding"] = "br" }).status)
    end)

    it("compresses for who accepts it, when it is worth it", function()
      local text = ("all work and no play "):rep(200)
      local function coding(accept, body)
        local answer = door:request("POST", "/echo", body or text, { ["Accept-Encoding"] = accept })
        if answer.headers["content-encoding"] then
          assert.equal(body or text, gzip(answer.body, "gzip -dc"))
        end
        return answer.headers["content-encoding"]
      end
      assert.equal("gzip", coding("gzip, deflate"))
      assert.equal("gzip", coding("br;q=1, gzip;q=0.3"))
      assert.equal("gzip", coding("*"))
      assert.is_nil(coding("gzip;q=0"))
      assert.is_nil(coding("gzip;q=0, *"))
      assert.is_nil(coding("identity"))
      assert.is_nil(coding("gzip", "short"))
    end)

    it("streams compressed pieces that read back whole", function()
      local plain = door:request("GET", "/stream?lines=200000")
      assert.equal("chunked", plain.headers["transfer-encoding"])
      assert.equal(3200000, #plain.body)
      local packed = door:request("GET", "/stream?lines=200000", nil,
        { ["Accept-Encoding"] = "gzip" })
      assert.equal("gzip", packed.headers["content-encoding"])
      assert.is_true(#packed.body < #plain.body / 2)
      assert.is_true(gzip(packed.body, "gzip -dc") == plain.body)
    end)

    it("passes a body of any size through a route that takes pieces", function()
      local client = door:connect(30)
      local piece = ("x"):rep(1000000)
      client:send("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
      for _ = 1, 100 do client:send(piece) end
      assert.equal("100000000", client:answer().body)
      client:close()
      local _, peak = door.process:usage()
      if not os.getenv("SANITIZER") then assert.is_true(peak < 60e6, "peak of " .. peak) end
    end)

    it("finds routes, decodes their segments, and says what is allowed", function()
      assert.equal("a/b c", door:request("GET", "/segment/a%2Fb%20c/end").body)
      assert.equal("a+b", door:request("GET", "/prometheus/segment/a+b/end").body)
      assert.equal(404, door:request("GET", "/segment//end").status)
      local missing = door:request("GET", "/nowhere")
      assert.equal(404, missing.status)
      assert.truthy(missing.body:find("page not found", 1, true))
      local wrong = door:request("DELETE", "/echo")
      assert.equal(405, wrong.status)
      assert.equal("GET, HEAD, POST, OPTIONS", wrong.headers.allow)
      local options = door:request("OPTIONS", "/echo", nil, { Origin = "http://page.example" })
      assert.equal(204, options.status)
      assert.equal("*", options.headers["access-control-allow-origin"])
    end)

    it("answers 503 before it is ready, and tells how far it is", function()
      local closed = door:request("GET", "/closed")
      assert.equal(503, closed.status)
      assert.equal("false", closed.headers["x-prometheus-stopping"])
      assert.equal("application/json", closed.headers["content-type"])
      local told = require("cjson").decode(closed.body)
      local ready = require("cjson").decode(door:request("GET", "/-/ready").body)
      assert.same(ready, told)
      assert.same({ "error", "unavailable" }, { told.status, told.errorType })
      assert.same({ "heads", 3, 7 }, { ready.phase, ready.done, ready.total })
      assert.equal(200, door:request("GET", "/-/healthy").status)
    end)
  end)

  describe("with deadlines", function()
    setup(function()
      door = server.door("header_timeout_ms=300", "body_timeout_ms=300", "idle_timeout_ms=300")
    end)
    teardown(function() assert.equal(0, door:stop()) end)

    -- Sends a byte at a time for as long as the server listens; the answer's status.
    local function drip(prefix)
      local client, started = door:connect(5), socket.gettime()
      client:send(prefix)
      client.timeout = 0.05
      repeat
        client:send("x")
        local ok, line = pcall(client.line, client)
        if ok then
          assert.is_true(socket.gettime() - started >= 0.25)
          client:close()
          return line and tonumber(line:match("^HTTP/1%.1 (%d+)"))
        end
      until socket.gettime() - started > 10
      error("never cut off")
    end

    it("cuts off a head that drips", function()
      assert.equal(408, drip("GET /echo HTTP/1.1\r\nX: "))
    end)
    it("cuts off a body that drips", function()
      assert.equal(408, drip("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"))
    end)
    it("closes idle connections", function()
      local client = door:connect(5)
      assert.is_true(client:closed())
      client:close()
    end)
    it("keeps a connection that asks in time", function()
      local client = door:connect(5)
      local until_s = socket.gettime() + 0.8
      while socket.gettime() < until_s do
        client:send("GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n")
        assert.equal(200, client:answer().status)
        socket.sleep(0.05)
      end
      client:close()
    end)
    it("drops a reader that stands still, holding one piece for it", function()
      local client = door:connect(5)
      client:send("GET /stream?lines=60000000 HTTP/1.1\r\nHost: a\r\n\r\n") -- 960 MB
      process.wait_for("the end of a standing reader", 10, function()
        return door:request("GET", "/metrics").body:match('rejected_total{reason="timeout"} [34]')
      end)
      local _, peak = door.process:usage()
      if not os.getenv("SANITIZER") then assert.is_true(peak < 60e6, "peak of " .. peak) end
      client:close()
    end)
  end)

  it("stops reading pipelined requests whose answers nobody reads", function()
    door = server.door("body_timeout_ms=60000")
    local client = door:connect(0.3)
    local request = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n" ..
      ("x"):rep(20000)
    local sent = 0
    while client:send(request) and sent < 5000 do sent = sent + 1 end
    assert.is_true(sent < 5000, "100 MB were taken")
    assert.equal(200, door:request("GET", "/-/healthy").status) -- others are served
    local _, peak = door.process:usage()
    if not os.getenv("SANITIZER") then assert.is_true(peak < 60e6, "peak of " .. peak) end
    client.timeout = 10
    for _ = 1, sent do assert.equal(20000, #client:answer().body) end
    client:close()
    assert.equal(0, door:stop())
  end)

  it("cancels the query of a client that hung up", function()
    door = server.door()
    local client = door:connect()
    client:send("GET /cancel HTTP/1.1\r\nHost: a\r\n\r\n")
    process.wait_for("the query to run", 5, function()
      return door:request("GET", "/metrics").body:find("tidemark_query_running 1", 1, true)
    end)
    client:close()
    process.wait_for("its cancellation", 5, function()
      return door.process:output():find("cancelled", 1, true)
    end)
    assert.equal(0, door:stop())
  end)

  it("refuses queries beyond its queue", function()
    door = server.door("query_threads=1", "query_queue=1")
    local clients = {}
    for i = 1, 6 do
      clients[i] = door:connect()
      clients[i]:send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
    end
    local served, refused = 0, 0
    for i = 1, 6 do
      local answer = clients[i]:answer()
      if answer.status == 200 then served = served + 1 end
      if answer.status == 503 and answer.headers["retry-after"] then refused = refused + 1 end
      clients[i]:close()
    end
    assert.equal(6, served + refused)
    assert.is_true(served >= 1 and refused >= 3)
    assert.equal(0, door:stop())
  end)

  it("turns away connections over the limit, and takes new ones when some have gone", function()
    door = server.door("connections=10")
    local clients = {}
    for i = 1, 10 do
      clients[i] = door:connect()
      clients[i]:send("GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.equal(200, clients[i]:answer().status)
    end
    local extra = door:connect()
    local answer = extra:answer()
    assert.equal(503, answer.status)
    assert.equal("1", answer.headers["retry-after"])
    extra:close()
    for i = 1, 10 do clients[i]:close() end
    process.wait_for("room", 5, function()
      return door:request("GET", "/-/healthy").status == 200
    end)
    assert.equal(0, door:stop())
  end)

  it("holds many idle connections cheaply and still serves", function()
    local count = os.getenv("LONG") == "1" and 10000 or 1000
    door = server.door("connections=20000", "client_connections=0")
    local clients = {}
    for i = 1, count do
      clients[i] = socket.tcp()
      clients[i]:settimeout(10)
      if not clients[i]:connect("127.0.0.1", door.port) then
        pending("this process may not open " .. count .. " connections")
        break
      end
    end
    process.wait_for("all connections", 20, function()
      local open = door:request("GET", "/metrics").body:match("tidemark_http_connections (%d+)")
      return tonumber(open) == #clients + 1
    end)
    local _, peak = door.process:usage()
    if not os.getenv("SANITIZER") then
      assert.is_true(peak < 20e6 + count * 2000, "peak of " .. peak)
    end
    for _, tcp in ipairs(clients) do tcp:close() end
    assert.equal(0, door:stop())
  end)

  it("finishes requests under way when it stops, and closes idle ones", function()
    door = server.door("drain_timeout_ms=5000")
    local idle, busy = door:connect(), door:connect()
    busy:send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
    process.wait_for("the query to run", 5, function()
      return door:request("GET", "/metrics").body:find("tidemark_query_running 1", 1, true)
    end)
    door.process:signal(15)
    local answer = busy:answer()
    assert.equal("waited", answer.body)
    assert.equal("close", answer.headers.connection)
    assert.is_true(idle:closed())
    assert.equal(0, door:stop())
  end)

  it("cuts off what does not end within the time of the drain", function()
    door = server.door("drain_timeout_ms=200")
    local busy = door:connect()
    busy:send("GET /cancel HTTP/1.1\r\nHost: a\r\n\r\n")
    process.wait_for("the query to run", 5, function()
      return door:request("GET", "/metrics").body:find("tidemark_query_running 1", 1, true)
    end)
    assert.equal(0, door.process:stop(15, 5))
    assert.is_true(busy:closed())
  end)

  it("does not share a port that is taken", function()
    door = server.door()
    local log = os.tmpname()
    local second = process.start({ (os.getenv("BUILD") or "build") .. "/tools/http_server",
      "listen=" .. door.address }, log)
    process.wait_for("its end", 5, function() return second:status() end)
    assert.equal(1, second:status())
    assert.truthy(second:output():find("the address is in use", 1, true))
    os.remove(log)
    assert.equal(0, door:stop())
  end)

  it("listens on a Unix socket, replaces one that nobody serves, removes it at the end", function()
    local folder = process.folder()
    local path = folder .. "/t.sock"
    door = server.door("listen=127.0.0.1:0", "listen=unix:" .. path)
    local function ask()
      local pipe = io.popen("curl -s --unix-socket " .. path .. " http://a/-/healthy")
      local text = pipe:read("*a")
      pipe:close()
      return text
    end
    assert.equal("Tidemark is Healthy.\n", ask())
    door.process:kill()
    door = server.door("listen=127.0.0.1:0", "listen=unix:" .. path)
    assert.equal("Tidemark is Healthy.\n", ask())
    assert.equal(0, door:stop())
    assert.is_nil(io.open(path))
    process.remove(folder)
  end)
end)
