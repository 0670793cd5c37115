-- A start that takes its time, on a slow disk: /-/ready says how far it is, pushes and queries are
-- told to come back, and then everything is there.
local cjson = require "cjson"
local engine = require "spec.unit.store.engine"
local fixtures = require "spec.support.fixtures"
local process = require "spec.support.process"
local server = require "spec.support.server"
local tide = require "spec.support.tide"

describe("a server that recovers", function()
  it("shows its progress and puts everybody off until it is ready", function()
    local path, folder = fixtures.unpack("crashed")
    local expected = tide.vectors("prom1x/crashed.expected.json")
    local one = server.tool("slow_start", path, "3000")
    local seen, last_done, put_off = {}, -1, 0
    process.wait_for("readiness", 60, function()
      local ready = one:request("GET", "/-/ready")
      if ready.status == 200 then return true end
      assert.equal(503, ready.status)
      assert.truthy(tonumber(ready.headers["retry-after"]))
      local state = cjson.decode(ready.body)
      assert.equal("error", state.status)
      if state.phase == "recovery" and state.total > 0 then
        assert.equal(256, state.total)
        assert.is_true(state.done >= last_done and state.done <= 256)
        last_done = state.done
      end
      seen[state.phase .. " " .. state.done] = true
      local push = one:request("POST", "/api/v1/import/prometheus", "a 1\n")
      local query = one:request("GET", "/api/v1/query?query=a")
      for _, answer in ipairs { push, query } do
        if answer.status == 503 then
          assert.truthy(tonumber(answer.headers["retry-after"]))
          assert.equal("unavailable", cjson.decode(answer.body).errorType)
          put_off = put_off + 1
        end
      end
      return false
    end)
    local states = 0
    for name in pairs(seen) do states = states + (name:find("^recovery") and 1 or 0) end
    assert.is_true(states >= 3, "states of recovery seen: " .. states)
    assert.is_true(put_off >= 6)
    local found = cjson.decode(one:request("GET",
      "/api/v1/series?match[]=%7B__name__%3D~%22.%2B%22%7D").body).data
    local known = {}
    for _, metric in ipairs(found) do known[fixtures.key(metric)] = true end
    for _, series in ipairs(expected.series) do
      if series.metric.__name__ then assert.is_true(known[fixtures.key(series.metric)]) end
    end
    assert.equal(0, one:stop())
    engine.remove(folder)
  end)
end)
