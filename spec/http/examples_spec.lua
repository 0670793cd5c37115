-- The dashboard and the alerts in docs/examples name metrics that a server really has.
local cjson = require "cjson"
local server = require "spec.support.server"

local read = require("spec.support.file").read

describe("docs/examples", function()
  local known, page = {}, nil

  setup(function()
    local running = server.start()
    local answer = running:request("GET", "/metrics")
    running:stop()
    page = answer.body
    for name in answer.body:gmatch("# TYPE (%S+)") do known[name] = true end
  end)

  -- Our own metrics that a text names; a histogram or summary by its parts.
  local function check(text, where)
    local found = 0
    for name in text:gmatch("[%w_]+") do
      if name:find("^tidemark_%w") or name:find("^prometheus_local_") or name:find("^process_") then
        local base = name:gsub("_bucket$", ""):gsub("_sum$", ""):gsub("_count$", "")
        assert(known[name] or known[base], where .. " names " .. name .. ", which is no metric")
        found = found + 1
      end
    end
    return found
  end

  it("has a dashboard of metrics that are there", function()
    local dashboard = cjson.decode(read "docs/examples/grafana-dashboard.json")
    local found = 0
    for _, panel in ipairs(dashboard.panels) do
      for _, target in ipairs(panel.targets) do found = found + check(target.expr, panel.title) end
    end
    assert.is_true(found > 15)
  end)

  it("has alerts on metrics that are there", function()
    assert.is_true(check(read "docs/examples/alerts.yml", "alerts.yml") > 6)
  end)

  -- Runs promtool, if it is there; what it says when it is not content.
  local function promtool(arguments)
    if os.execute("command -v promtool >/dev/null") ~= 0 then
      pending("promtool is not installed (make peers)")
      return
    end
    local pipe = io.popen("promtool " .. arguments .. " 2>&1; echo status=$?")
    local text = pipe:read("*a")
    pipe:close()
    assert(text:find("status=0", 1, true), text)
    return text
  end

  it("has alerts that promtool takes", function()
    promtool("check rules docs/examples/alerts.yml")
  end)

  it("has a configuration of Prometheus that promtool takes", function()
    promtool("check config docs/examples/prometheus.yml")
  end)

  it("comes with metrics that promtool finds nothing in", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(page)
    file:close()
    finally(function() os.remove(path) end)
    local text = promtool("check metrics < " .. path)
    if text then assert.equal("status=0\n", text) end
  end)
end)
