-- Every metric of the original's storage is on /metrics, under its name and with its type and label
-- values: the list is the table in docs/reference/storage-behaviour.md, section 22.
local process = require "spec.support.process"
local server = require "spec.support.server"

local PREFIX = "prometheus_local_storage_"

-- Rows of the table: name, labels, type.
local function rows()
  local file = assert(io.open("docs/reference/storage-behaviour.md"))
  local text = file:read("*a"):match("## 22%. Metrics(.-)\n%-%-%-%-")
  file:close()
  local list = {}
  for cell, kind, rest in text:gmatch("| `([%w_{}]+)` | ([^|]+) |([^\n]*)") do
    list[#list + 1] = { name = cell:match("^[%w_]+"), label = cell:match("{(%w+)}"),
      kind = kind:match("^%w+"), quantiles = kind:find("0.5", 1, true) ~= nil, rest = rest }
  end
  return list
end

describe("/metrics", function()
  local running, folder, text

  setup(function()
    folder = process.folder()
    running = server.start(folder)
    assert.equal(204, running:request("POST", "/api/v1/import/prometheus", "a 1\nb 2\n").status)
    text = running:request("GET", "/metrics").body
  end)
  teardown(function()
    assert.equal(0, running:stop())
    process.remove(folder)
  end)

  it("has all the original's names with its types", function()
    local list = rows()
    assert.is_true(#list == 31, #list)
    local missing = {}
    for _, row in ipairs(list) do
      local kind = text:match("# TYPE " .. PREFIX .. row.name .. " (%w+)\n")
      if kind ~= row.kind then
        missing[#missing + 1] = ("%s: %s, not %s"):format(row.name, tostring(kind), row.kind)
      end
    end
    assert.same({}, missing)
  end)

  it("has the label values that exist from the start", function()
    for _, row in ipairs(rows()) do
      if row.name == "series_ops_total" or row.name == "out_of_order_samples_total" then
        for value in row.rest:gmatch("`([%w_]+)`") do
          assert.truthy(text:find(('%s%s{%s="%s"} '):format(PREFIX, row.name, row.label, value), 1,
            true), row.name .. " " .. value)
        end
      end
    end
    for _, value in ipairs { "memory", "archived" } do
      assert.truthy(text:find(PREFIX .. 'maintain_series_duration_seconds_count{location="' ..
        value .. '"} ', 1, true), value)
    end
    for _, bucket in ipairs { 1, 2, 4, 8, 16, 32, 64, 128 } do
      assert.truthy(text:find(PREFIX .. 'series_chunks_persisted_bucket{le="' .. bucket .. '"} ', 1,
        true), bucket)
    end
  end)

  it("counts what was pushed", function()
    assert.truthy(text:find(PREFIX .. "ingested_samples_total 2\n", 1, true))
    assert.truthy(text:find(PREFIX .. "memory_series 2\n", 1, true))
    assert.truthy(text:find(PREFIX .. 'series_ops_total{type="create"} 2\n', 1, true))
    assert.truthy(text:find(PREFIX .. "open_head_chunks 2\n", 1, true))
  end)
end)
