-- The real server, killed while clients push over HTTP: what got its 204 is there after the next
-- start, once. Requests are pipelined, so answers that wait for the log do so in their order.
local cjson = require "cjson"
local process = require "spec.support.process"
local server = require "spec.support.server"
local socket = require "socket"
local url = require "socket.url"

local kills = os.getenv("RUNS") and 25 or 3
local seed = tonumber(os.getenv("SEED") or "") or os.time()
local CONNECTIONS, PIPELINED, STEP_MS = 4, 5, 10

local function request_of(connection, index, base_ms)
  local body = ('crash{c="%d"} %d %d\n'):format(connection, index, base_ms + index * STEP_MS)
  return ("POST /api/v1/import/prometheus HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s")
    :format(#body, body)
end

describe("a server that is killed (seed " .. seed .. ")", function()
  local tidemark, folder

  before_each(function() folder = process.folder() end)
  after_each(function()
    if tidemark then tidemark.process:kill() end
    process.remove(folder)
  end)

  for _, mode in ipairs { "always", "interval", "never" } do
    it("has what it answered over HTTP, with wal.sync " .. mode, function()
      local base_ms = (os.time() - 1800) * 1000
      local sent, answered = {}, {}
      for c = 1, CONNECTIONS do sent[c], answered[c] = 0, 0 end
      math.randomseed(seed)

      -- Pushes until `enough` answers have come, then kills.
      local function life(enough)
        local sockets, pending = {}, {}
        for c = 1, CONNECTIONS do
          sockets[c] = assert(socket.connect("127.0.0.1", tidemark.port))
          sockets[c]:settimeout(0)
          pending[c] = ""
          sent[c] = answered[c] -- what was not answered is sent again
        end
        local got, deadline = 0, socket.gettime() + 30
        while got < enough do
          assert(socket.gettime() < deadline, "no answers")
          for c = 1, CONNECTIONS do
            while sent[c] < answered[c] + PIPELINED do
              assert(sockets[c]:send(request_of(c, sent[c] + 1, base_ms)))
              sent[c] = sent[c] + 1
            end
            local bytes, _, partial = sockets[c]:receive(65536)
            pending[c] = pending[c] .. (bytes or partial or "")
            while true do
              local _, last = pending[c]:find("\r\n\r\n", 1, true)
              if not last then break end
              local head = pending[c]:sub(1, last)
              assert(head:match("^HTTP/1.1 204"), head)
              pending[c] = pending[c]:sub(last + 1)
              answered[c], got = answered[c] + 1, got + 1
            end
          end
        end
        tidemark.process:kill()
        for c = 1, CONNECTIONS do sockets[c]:close() end
      end

      local function look()
        local answer = tidemark:request("GET", "/api/v1/query?query=" .. url.escape("crash[1h]"))
        local found = {}
        for _, series in ipairs(cjson.decode(answer.body).data.result) do
          found[tonumber(series.metric.c)] = series.values
        end
        for c = 1, CONNECTIONS do
          local values = found[c] or {}
          assert.is_true(#values >= answered[c] and #values <= sent[c],
            ("%d samples of %d answered, %d sent"):format(#values, answered[c], sent[c]))
          for i, sample in ipairs(values) do
            assert.equal(i, tonumber(sample[2]))
            assert.equal(base_ms + i * STEP_MS, math.floor(sample[1] * 1000 + 0.5))
          end
        end
      end

      for _ = 1, kills do
        tidemark = server.start(folder, "--set", "wal.sync=" .. mode, "--set",
          "storage.checkpoint_interval=1s")
        look()
        life(50 + math.random(400))
      end
      tidemark = server.start(folder)
      look()
      assert.equal(0, tidemark:stop())
      tidemark = nil
    end)
  end
end)
