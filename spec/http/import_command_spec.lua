-- `tidemark import` and `tidemark export` against a running server: a year of history into live
-- series, text, refusals, and the way round.
local process = require "spec.support.process"
local server = require "spec.support.server"

local build = os.getenv("BUILD") or "build"

describe("tidemark import and export", function()
  local tidemark, folder
  local now = os.time()

  setup(function()
    folder = process.folder()
    tidemark = server.start(folder, "--set", "storage.retention=forever")
  end)
  teardown(function()
    assert.equal(0, tidemark:stop())
    process.remove(folder)
  end)

  local function write(name, text)
    local file = assert(io.open(folder .. "/" .. name, "w"))
    file:write(text)
    file:close()
    return folder .. "/" .. name
  end

  -- Runs a command; returns its standard output, its standard error and its exit code.
  local function run(command, ...)
    local words = { build .. "/tidemark", command, "--url", "http://" .. tidemark.address }
    for _, word in ipairs { ... } do words[#words + 1] = "'" .. word .. "'" end
    local errors = folder .. "/errors"
    local pipe = io.popen(table.concat(words, " ") .. " 2>" .. errors .. "; echo $?")
    local text = pipe:read("*a")
    pipe:close()
    local file = assert(io.open(errors))
    local problem = file:read("*a")
    file:close()
    local out, code = text:match("^(.-)(%d+)\n$")
    return out, problem, tonumber(code)
  end

  local function line(name, samples)
    local values, times = {}, {}
    for i, sample in ipairs(samples) do times[i], values[i] = sample[1], sample[2] end
    return ('{"metric":{"__name__":"%s"},"values":[%s],"timestamps":[%s]}\n')
      :format(name, table.concat(values, ","), table.concat(times, ","))
  end

  it("bring a year into a series that is pushed to, and all of it back out", function()
    assert.equal(204, tidemark:request("POST", "/api/v1/import/prometheus",
      ("year 1 %d\n"):format((now - 60) * 1000)).status)
    local lines, expected = {}, {}
    for day = 1, 365 do
      local samples = {}
      for k = 0, 143 do
        samples[#samples + 1] = { (now - day * 86400 + k * 600 - 3600) * 1000, day * 1000 + k }
      end
      lines[day] = line("year", samples)
      for _, sample in ipairs(samples) do expected[sample[1]] = sample[2] end
    end
    expected[(now - 60) * 1000] = 1
    local out, problem, code = run("import", write("year.json", table.concat(lines)))
    assert.equal("", problem)
    assert.equal(0, code)
    assert.truthy(out:find("imported 365 lines", 1, true), out)
    out, problem, code = run("export", "year")
    assert.equal("", problem)
    assert.equal(0, code)
    local count, last = 0, 0
    for values, times in out:gmatch('"values":%[(.-)%],"timestamps":%[(.-)%]') do
      local nextValue = values:gmatch("[^,]+")
      for time in times:gmatch("%d+") do
        time = tonumber(time)
        assert.is_true(time > last)
        assert.equal(expected[time], tonumber(nextValue()))
        count, last = count + 1, time
      end
    end
    assert.equal(365 * 144 + 1, count)
    -- Into another name, with markers of staleness on the way.
    out = out:gsub('"year"', '"again"')
    assert.equal(0, select(3, run("import", write("again.json", out))))
    assert.equal(out, (run("export", "again")))
  end)

  it("take the text format, and say which lines are bad", function()
    local text = {}
    for k = 1, 5000 do text[k] = ("text{i=\"%d\"} %d %d\n"):format(k % 7, k, (now - k) * 1000) end
    text[2500] = "bad line here\n"
    local out, problem, code = run("import", "--format", "text", write("a.txt", table.concat(text)))
    assert.equal(1, code)
    assert.truthy(out:find("imported 5000 lines", 1, true), out)
    assert.truthy(out:find("1 samples refused", 1, true), out)
    assert.truthy(problem:find("a.txt", 1, true), problem)
    out = run("export", "--start", tostring(now - 5000), "text")
    local _, lines = out:gsub("\n", "\n")
    assert.equal(7, lines)
  end)

  it("refuse what cannot be", function()
    local _, problem, code = run("import", folder .. "/nothing")
    assert.equal(1, code)
    assert.truthy(problem:find("cannot open", 1, true), problem)
    _, problem, code = run("import", "--format", "csv", folder .. "/nothing")
    assert.equal(2, code)
    assert.truthy(problem:find("json and text", 1, true), problem)
    _, problem, code = run("export", "{")
    assert.equal(1, code)
    assert.truthy(problem:find("400", 1, true), problem)
  end)
end)

describe("an import into a server that keeps a day", function()
  it("warns of what will be dropped", function()
    local folder = process.folder()
    local tidemark = server.start(folder, "--set", "storage.retention=1d")
    local answer = tidemark:request("POST", "/api/v1/import/prometheus",
      ("old 1 %d\nold 2 %d\n"):format((os.time() - 90000) * 1000, os.time() * 1000))
    assert.equal(200, answer.status)
    assert.truthy(answer.body:find('"expiring":1', 1, true), answer.body)
    assert.truthy(answer.body:find("storage.retention", 1, true), answer.body)
    assert.equal(0, tidemark:stop())
    process.remove(folder)
  end)
end)
