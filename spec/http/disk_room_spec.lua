-- Too little room on the disk: pushes are told to come again, questions are answered.
local cjson = require "cjson"
local process = require "spec.support.process"
local server = require "spec.support.server"

describe("a server whose disk has less free than storage.min_free_space", function()
  local folder, tidemark

  setup(function()
    folder = process.folder()
    local config = assert(io.open(folder .. "/config.lua", "w"))
    config:write('return { storage = { min_free_space = "64TiB" } }\n')
    config:close()
    tidemark = server.start(folder .. "/data", "--config", folder .. "/config.lua")
  end)
  teardown(function()
    assert.equal(0, tidemark:stop())
    process.remove(folder)
  end)

  it("answers pushes with 503, Retry-After and what is short", function()
    for _, path in ipairs { "/api/v1/import/prometheus", "/api/v1/import" } do
      local body = path:find("prom") and "up 1\n" or
        '{"metric":{"__name__":"up"},"values":[1],"timestamps":[1700000000000]}\n'
      local reply = tidemark:request("POST", path, body)
      assert.equal(503, reply.status)
      assert.truthy(tonumber(reply.headers["retry-after"]))
      local answer = cjson.decode(reply.body)
      assert.equal("error", answer.status)
      assert.truthy(answer.error:find("the disk is nearly full", 1, true), answer.error)
      assert.truthy(answer.error:find("storage.min_free_space", 1, true))
    end
  end)

  it("goes on answering questions, and shows why", function()
    assert.equal(200, tidemark:request("GET", "/api/v1/query?query=up").status)
    assert.equal(200, tidemark:request("GET", "/-/ready").status)
    local metrics = tidemark:request("GET", "/metrics").body
    assert.truthy(metrics:find("\ntidemark_storage_room_level 2\n", 1, true))
    assert.truthy(metrics:find("\ntidemark_storage_free_bytes %d"))
    local info = cjson.decode(tidemark:request("GET", "/api/v1/status/runtimeinfo").body)
    assert.equal("disk full", info.data.storageState)
  end)
end)
