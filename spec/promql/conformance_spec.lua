-- PromQL scripts: upstream's, run through the HTTP API of a real server; they stay where upstream's
-- material lies (TIDE_CONFORMANCE, default ../shared/conformance). Our own beside this file are run
-- by the library over series in memory. TIDE_PROMQL=library or =server: all of them.
local script = require "spec.promql.script"
local runners = { library = require "spec.promql.library_runner",
  server = require "spec.promql.runner" }
local wanted = os.getenv("TIDE_PROMQL")

local conformance = os.getenv("TIDE_CONFORMANCE") or "../shared/conformance"

local function scripts(folder)
  local pipe = io.popen("ls " .. folder .. "/*.test 2>/dev/null")
  local list = {}
  for path in pipe:lines() do list[#list + 1] = path end
  pipe:close()
  return list
end

local function describe_script(path, runner)
  describe(path:match("[^/]+$"), function()
    local run = runner.new()
    local commands = script.read(path)

    setup(function() run:clear() end)
    teardown(function() run:close() end)

    -- Loads and clears happen in front of the next eval, which reports their failure.
    local before = {}
    for _, command in ipairs(commands) do
      if command.kind ~= "eval" then
        before[#before + 1] = command
      else
        local todo = before
        before = {}
        it(("line %d: %s"):format(command.line, command.expression), function()
          for _, other in ipairs(todo) do
            if other.kind == "clear" then run:clear() else run:load(other) end
          end
          run:eval(command)
        end)
      end
    end
  end)
end

describe("upstream's scripts", function()
  local paths = scripts(conformance .. "/promqltest")
  if #paths == 0 then
    pending("upstream's scripts are not here: set TIDE_CONFORMANCE")
    return
  end
  for _, path in ipairs(paths) do
    describe_script(path, runners[wanted or "server"])
  end
end)

describe("our scripts", function()
  for _, path in ipairs(scripts("spec/promql/scripts")) do
    describe_script(path, runners[wanted or "library"])
  end
end)
