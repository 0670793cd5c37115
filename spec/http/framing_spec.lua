-- One meaning or none: what an intermediary could read differently is refused and cut off.
local server = require "spec.support.server"

describe("framing", function()
  local door
  setup(function() door = server.door("header_bytes=4096", "body_bytes=1000000") end)
  teardown(function() assert.equal(0, door:stop()) end)

  -- Sends bytes, expects one answer with this status and then the end of the connection.
  local function refused(bytes, status)
    local client = door:connect()
    client:send(bytes)
    local answer = client:answer()
    assert.equal(status, answer.status)
    assert.equal("close", answer.headers.connection)
    assert.is_true(client:closed())
    client:close()
  end

  local post = "POST /echo HTTP/1.1\r\nHost: a\r\n"
  local chunked = post .. "Transfer-Encoding: chunked\r\n\r\n"
  for name, attack in pairs {
    ["a return before a request"] = { "\rGET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    ["two lengths"] = { post .. "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400 },
    ["two equal lengths"] = { post .. "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400 },
    ["a list of lengths"] = { post .. "Content-Length: 5, 5\r\n\r\nhello", 400 },
    ["length and chunks"] = { post .. "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" ..
      "0\r\n\r\n", 400 },
    ["chunks and length"] = { post .. "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" ..
      "0\r\n\r\n", 400 },
    ["a negative length"] = { post .. "Content-Length: -5\r\n\r\nhello", 400 },
    ["a signed length"] = { post .. "Content-Length: +5\r\n\r\nhello", 400 },
    ["a hex length"] = { post .. "Content-Length: 0x5\r\n\r\nhello", 400 },
    ["an empty length"] = { post .. "Content-Length: \r\n\r\n", 400 },
    ["a length over 64 bits"] = { post .. "Content-Length: 18446744073709551621\r\n\r\nhello",
      400 },
    ["another coding"] = { post .. "Transfer-Encoding: gzip\r\n\r\n", 400 },
    ["two codings"] = { post .. "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400 },
    ["chunked twice"] = { post .. "Transfer-Encoding: chunked\r\n" ..
      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
    ["chunks in HTTP/1.0"] = { "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" ..
      "0\r\n\r\n", 400 },
    ["a chunk size of letters"] = { chunked .. "xyz\r\nhello\r\n0\r\n\r\n", 400 },
    ["an empty chunk size"] = { chunked .. "\r\nhello\r\n0\r\n\r\n", 400 },
    ["a negative chunk size"] = { chunked .. "-5\r\nhello\r\n0\r\n\r\n", 400 },
    ["a prefixed chunk size"] = { chunked .. "0x5\r\nhello\r\n0\r\n\r\n", 400 },
    ["a chunk size over 60 bits"] = { chunked .. "10000000000000005\r\nhello\r\n", 400 },
    ["a chunk that is longer than it says"] = { chunked .. "4\r\nhello\r\n0\r\n\r\n", 400 },
    ["a bare line feed behind a chunk size"] = { chunked .. "5\nhello\r\n0\r\n\r\n", 400 },
    ["a blank before the colon"] = { post .. "Content-Length : 5\r\n\r\nhello", 400 },
    ["a folded line"] = { "GET /echo HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400 },
    ["bare line feeds"] = { "GET /echo HTTP/1.1\nHost: a\n\n", 400 },
    ["a bare return"] = { "GET /echo HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400 },
    ["NUL in the target"] = { "GET /ec\0ho HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    ["NUL in a value"] = { "GET /echo HTTP/1.1\r\nHost: a\0b\r\n\r\n", 400 },
    ["no host"] = { "GET /echo HTTP/1.1\r\n\r\n", 400 },
    ["two hosts"] = { "GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400 },
    ["version 2.0"] = { "GET /echo HTTP/2.0\r\nHost: a\r\n\r\n", 400 },
    ["no version"] = { "GET /echo\r\nHost: a\r\n\r\n", 400 },
    ["a method nobody knows"] = { "BREW /echo HTTP/1.1\r\nHost: a\r\n\r\n", 501 },
    ["a TLS hello"] = { "\22\3\1\2\0\1\0\1\252\3\3\r\n\r\n", 400 },
    ["a head that is too long"] = { "GET /echo HTTP/1.1\r\nHost: a\r\nX: " .. ("y"):rep(5000) ..
      "\r\n\r\n", 431 },
    ["a head without end"] = { "GET /echo HTTP/1.1\r\nHost: a\r\nX: " .. ("y"):rep(5000), 431 },
    ["too many fields"] = { "GET /echo HTTP/1.1\r\nHost: a\r\n" .. ("X: y\r\n"):rep(120) .. "\r\n",
      431 },
    ["a body over the limit"] = { post .. "Content-Length: 1000001\r\n\r\n", 413 },
    ["chunks over the limit"] = { chunked .. "f4241\r\n" .. ("x"):rep(1000), 413 },
    ["another expectation"] = { post .. "Expect: 200-ok\r\nContent-Length: 5\r\n\r\nhello", 417 },
  } do
    it("refuses " .. name, function() refused(attack[1], attack[2]) end)
  end

  it("takes chunks with extensions and trailers, cut anywhere", function()
    local client = door:connect()
    local body = "5;a=b\r\nhello\r\n1\r\n,\r\n0006\r\n world\r\n0\r\nX-Sum: 12\r\n\r\n"
    for i = 1, #chunked do client:send(chunked:sub(i, i)) end
    for i = 1, #body do client:send(body:sub(i, i)) end
    assert.equal("hello, world", client:answer().body)
    client:send(post .. "Content-Length: 2\r\n\r\nok")
    assert.equal("ok", client:answer().body)
    client:close()
  end)

  it("answers pipelined requests in their order", function()
    local client = door:connect()
    local all = {}
    for i = 1, 200 do
      local path = i % 3 == 0 and "/echo/pool" or "/echo" -- some on other threads
      all[i] = ("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%d")
        :format(path, #tostring(i), i)
    end
    client:send(table.concat(all))
    for i = 1, 200 do assert.equal(tostring(i), client:answer().body) end
    client:close()
  end)

  it("does not take a request behind a refused one", function()
    local client = door:connect()
    client:send(post .. "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" ..
      "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal(400, client:answer().status)
    assert.is_true(client:closed())
    client:close()
  end)

  it("says 100 Continue when it will take the body", function()
    local client = door:connect()
    client:send(post .. "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert.equal(100, client:answer().status)
    client:send("hello")
    assert.equal("hello", client:answer().body)
    client:close()
  end)

  it("says no instead of 100 Continue when it will not", function()
    for path, status in pairs { ["/nowhere"] = 404, ["/stream"] = 405 } do
      refused("POST " .. path .. " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" ..
        "Content-Length: 5\r\n\r\n", status)
    end
    refused(post .. "Expect: 100-continue\r\nContent-Length: 9999999\r\n\r\n", 413)
  end)

  it("sends no body to HEAD, but its length", function()
    local client = door:connect()
    client:send("HEAD /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n" ..
      "GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n")
    local head = client:answer("HEAD")
    assert.equal(200, head.status)
    local get = client:answer()
    assert.equal(head.headers["content-length"], tostring(#get.body))
    client:close()
  end)

  it("closes after HTTP/1.0, unless asked to keep", function()
    local client = door:connect()
    client:send("GET /-/healthy HTTP/1.0\r\n\r\n")
    assert.equal(200, client:answer().status)
    assert.is_true(client:closed())
    client = door:connect()
    client:send("GET /-/healthy HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert.equal("keep-alive", client:answer().headers.connection)
    client:send("GET /-/healthy HTTP/1.0\r\n\r\n")
    assert.equal(200, client:answer().status)
    client:close()
  end)

  it("streams to HTTP/1.0 without chunks", function()
    local client = door:connect()
    client:send("GET /stream?lines=100000 HTTP/1.0\r\n\r\n")
    local answer = client:answer()
    assert.is_nil(answer.headers["transfer-encoding"])
    assert.equal(1600000, #answer.body)
    client:close()
  end)

  it("serves an absolute target", function()
    local client = door:connect()
    client:send("POST http://a.example/echo?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok")
    assert.equal("ok", client:answer().body)
    client:close()
  end)
end)
