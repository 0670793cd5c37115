-- The client of base/fetch.h against the product's server: answers, refusals, dead ends.
local ffi = require "ffi"
local process = require "spec.support.process"
local server = require "spec.support.server"
local tide = require "spec.support.tide"
local C = tide.load("base/fetch.h", "base/mem.h")

-- Asks; the status with the body, or nil with the error's code and text.
local function ask(request)
  local reply, err = ffi.new("struct fetch_reply"), ffi.new("struct error")
  local fields = ffi.new("struct fetch_request", request)
  if C.fetch(fields, reply, err) ~= 0 then return nil, err.code, ffi.string(err.text) end
  local body = ffi.string(reply.body.data, reply.body.len)
  C.fetch_reply_destroy(reply)
  return reply.status, body
end

describe("fetch", function()
  local running, socket_path

  setup(function()
    socket_path = process.folder() .. "/door.sock"
    running = server.start(nil, "--listen", "unix:" .. socket_path)
  end)
  teardown(function() running:stop() end)

  local function url(path) return "http://" .. running.address .. path end

  it("posts a body and gets what was stored", function()
    local body = "room_celsius 21.5\n"
    assert.equal(204,
      (ask { url = url "/api/v1/import/prometheus", body = body, body_len = #body }))
    local status, answer = ask { url = url "/api/v1/query?query=room_celsius" }
    assert.equal(200, status)
    assert.truthy(answer:find('"21.5"', 1, true))
  end)

  it("asks over a Unix socket", function()
    assert.equal(200, (ask { url = "http://localhost/-/healthy", unix_socket = socket_path }))
  end)

  it("gives refusals with their body", function()
    local status, answer = ask { url = url "/api/v1/query?query=%29" }
    assert.equal(400, status)
    assert.truthy(answer:find('"bad_data"', 1, true))
  end)

  it("says when an answer is larger than wanted", function()
    local status, code = ask { url = url "/metrics", max_reply_bytes = 100 }
    assert.is_nil(status)
    assert.equal(C.ERR_LIMIT, tonumber(code))
  end)

  it("says when nobody answers, and when the address is none", function()
    local status, code, text = ask { url = "http://127.0.0.1:1/" }
    assert.is_nil(status)
    assert.equal(C.ERR_IO, tonumber(code))
    assert.truthy(text:find("http://127.0.0.1:1/: ", 1, true))
    status, code = ask { url = "file:///etc/passwd" }
    assert.is_nil(status)
    assert.equal(C.ERR_INVALID, tonumber(code))
  end)

  it("finds a server by its listen entry", function()
    local text, unix = ffi.new("char[64]"), ffi.new("const char *[1]")
    local function address(listen)
      C.fetch_address(listen, text, 64, unix)
      return ffi.string(text), unix[0] ~= nil and ffi.string(unix[0]) or nil
    end
    assert.same({ "http://127.0.0.1:9201" }, { address "0.0.0.0:9201" })
    assert.same({ "http://127.0.0.1:9201" }, { address ":9201" })
    assert.same({ "http://[::1]:9201" }, { address "[::]:9201" })
    assert.same({ "http://10.0.0.7:80" }, { address "10.0.0.7:80" })
    assert.same({ "http://localhost", "/run/t.sock" }, { address "unix:/run/t.sock" })
  end)
end)
