-- kill -9 while deletes, undeletes and snapshots go on: whatever happened to the one at work,
-- all entries of the trash brought back make everything that was pushed, each sample once. (That
-- a delete that was answered has happened: spec/http/admin_spec.lua.)
local engine = require "spec.unit.store.engine"
local json = require "cjson"
local process = require "spec.support.process"
local server = require "spec.support.server"
local socket = require "socket"
local storage_v1 = require "spec.support.storage_v1"

local ADMIN = "/api/v1/admin/tsdb/"
local SERIES, SAMPLES = 300, 60

describe("a server killed during removals", function()
  local folder = engine.folder() -- in memory: a process is killed, not the machine
  local now = os.time() * 1000
  local seed = tonumber(os.getenv("SEED")) or os.time()

  local function at(k) return now - 7000000 + k * 1000 end
  local function value(i, k) return (i * 7919 + k * 104729) % 65536 / 256 end

  local function push(tidemark, from, to)
    local lines = {}
    for k = from, to do
      for i = 1, SERIES do
        lines[#lines + 1] = ('m{i="%d"} %.17g %d'):format(i, value(i, k), at(k))
      end
    end
    local answer = tidemark:request("POST", "/api/v1/import/prometheus",
      table.concat(lines, "\n") .. "\n")
    assert.equal(204, answer.status, answer.body)
  end

  local function contents(tidemark)
    local answer = tidemark:request("GET", "/api/v1/export?match[]=m")
    assert.equal(200, answer.status, answer.body)
    local found = {}
    for line in answer.body:gmatch("[^\n]+") do
      local one = json.decode(line)
      local samples = found[tonumber(one.metric.i)] or {}
      for n, time in ipairs(one.timestamps) do
        assert.is_nil(samples[time], "a sample twice")
        samples[time] = one.values[n]
      end
      found[tonumber(one.metric.i)] = samples
    end
    return found
  end

  local function expect_all(tidemark, to)
    local found = contents(tidemark)
    for i = 1, SERIES do
      local samples, count = found[i] or {}, 0
      for k = 1, to do
        if samples[at(k)] ~= value(i, k) then
          error(("series %d, sample %d: %s instead of %g (SEED=%d)"):format(i, k, samples[at(k)],
            value(i, k), seed))
        end
      end
      for _ in pairs(samples) do count = count + 1 end
      assert.equal(to, count)
    end
  end

  -- One process that deletes, brings back and makes snapshots until the server is gone; it writes
  -- down what was answered.
  local function remover(tidemark, notes)
    return process.start { "sh", "-c", ([[
      while :; do
        id=$(curl -s -o /dev/null -D - -g -X POST '%s/delete_series?match[]=m{i=~"1.*"}&end=%d' |
          sed -n 's/^Tidemark-Trash-Id: \(.*\)\r$/\1/p')
        [ -n "$id" ] || exit
        echo "deleted $id" >> %s
        curl -s -o /dev/null -X POST %s/snapshot || exit
        curl -s -f -o /dev/null -X POST "%s/undelete?id=$id" || exit
        echo "restored $id" >> %s
      done]]):format("http://" .. tidemark.address .. ADMIN:sub(1, -2), at(40) / 1000, notes,
      "http://" .. tidemark.address .. ADMIN:sub(1, -2),
      "http://" .. tidemark.address .. ADMIN:sub(1, -2), notes) }
  end

  teardown(function() engine.remove(folder) end)

  it("loses and doubles nothing", function()
    math.randomseed(seed)
    local notes, to = folder .. ".notes", 0
    local answered, interrupted = 0, 0
    for _ = 1, os.getenv("LONG") == "1" and 100 or 5 do
      local tidemark = server.start(folder, "--set", "wal.sync=always")
      push(tidemark, to + 1, to + SAMPLES)
      to = to + SAMPLES
      os.remove(notes)
      local worker = remover(tidemark, notes)
      socket.sleep(0.05 + math.random() * 0.5) -- the random moment is the point
      tidemark.process:kill()
      worker:kill()
      os.remove(tidemark.log)
      local file = io.open(notes)
      for _ in (file and file:lines() or function() end) do answered = answered + 1 end
      if file then file:close() end
      tidemark = server.start(folder, "--set", "wal.sync=always")
      local trash = json.decode(tidemark:request("GET", ADMIN .. "trash").body).data
      for _, entry in ipairs(trash) do
        if entry.action == "interrupted" then interrupted = interrupted + 1 end
        local answer = tidemark:request("POST", ADMIN .. "undelete?id=" .. entry.id)
        assert.equal(200, answer.status, answer.body)
      end
      expect_all(tidemark, to)
      for _, snapshot in ipairs(json.decode(tidemark:request("GET", ADMIN .. "snapshot").body)
        .data) do
        storage_v1.check(folder .. "/snapshots/" .. snapshot.name)
      end
      assert.equal(200, tidemark:request("GET", "/snapshot/delete_all").status)
      assert.equal(0, tidemark:stop())
    end
    os.remove(notes)
    local pipe = io.popen(("find %s/trash %s/snapshots -name '*.tmp'"):format(folder, folder))
    assert.equal("", pipe:read("*a"))
    pipe:close()
    assert.is_true(answered > 0)
    io.stdout:write(("%d answers, %d deletes interrupted\n"):format(answered, interrupted))
  end)
end)
