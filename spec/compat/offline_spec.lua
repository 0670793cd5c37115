-- verify, repair and dump, as an operator runs them, on folders of the original.
local cjson = require "cjson"
local tide = require "spec.support.tide"
local engine = require "spec.unit.store.engine"
local fixtures = require "spec.support.fixtures"
local process = require "spec.support.process"
local server = require "spec.support.server"

local program = (os.getenv("BUILD") or "build") .. "/tidemark"

-- Runs a command: its exit status and what it printed (out, and the messages).
local function run(...)
  local out, messages = os.tmpname(), os.tmpname()
  local words = { program, ... }
  for i, word in ipairs(words) do words[i] = "'" .. word:gsub("'", "'\\''") .. "'" end
  local status = os.execute(table.concat(words, " ") .. " >" .. out .. " 2>" .. messages)
  local texts = {}
  for i, name in ipairs { out, messages } do
    local file = assert(io.open(name))
    texts[i] = file:read("*a")
    file:close()
    os.remove(name)
  end
  return math.floor(status / 256), texts[1], texts[2]
end

local function scratch_left(folder)
  local pipe = io.popen("ls " .. folder .. " | grep -c '^tidemark-'")
  local count = tonumber(pipe:read("*a"))
  pipe:close()
  return count
end

local function value_of(value)
  if value == cjson.null then return 0 / 0 end
  if value == "StaleNaN" then return tide.double("7ff0000000000002") end
  return tonumber(value) or ({ Infinity = 1 / 0, ["-Infinity"] = -1 / 0 })[value]
end

-- { [metric] = { {t, v}, ... } } of dumped JSON lines, which must be in order of time.
local function parse(text)
  local found = {}
  for line in text:gmatch("[^\n]+") do
    local object = cjson.decode(line)
    local key = fixtures.key(object.metric)
    local series = found[key] or {}
    found[key] = series
    assert.equal(#object.values, #object.timestamps)
    for i, time in ipairs(object.timestamps) do
      assert.is_true(#series == 0 or series[#series][1] < time)
      series[#series + 1] = { time, value_of(object.values[i]) }
    end
  end
  return found
end

-- Every expected sample is there; `exactly`: and no other.
local function compare(expected, found, exactly)
  local count = 0
  for _, series in ipairs(expected.series) do
    local got = found[fixtures.key(series.metric)]
    assert(got, series.fingerprint)
    if exactly then assert.equal(#series.samples, #got, series.fingerprint) end
    local at = {}
    for _, sample in ipairs(got) do at[sample[1]] = sample[2] end
    for _, sample in ipairs(series.samples) do
      local want, value = tide.double(sample[3]), at[sample[1]]
      local stale = sample[3] == "7ff0000000000002"
      assert(value == want or (want ~= want and value ~= value and
        stale == (tide.bits(value) == "7ff0000000000002")), series.fingerprint)
    end
    count = count + 1
  end
  for _ in pairs(found) do count = count - 1 end
  if exactly then assert.equal(0, count) end
end

describe("on a stopped folder", function()
  local folder, path

  local function open(name)
    path, folder = fixtures.unpack(name)
    return tide.vectors("prom1x/" .. name .. ".expected.json")
  end

  after_each(function()
    engine.remove(folder)
  end)

  for _, name in ipairs { "clean-varbit", "archived", "collisions", "heads-v1" } do
    it("verify finds nothing and dump prints everything of " .. name, function()
      local expected = open(name)
      local before = fixtures.state(path)
      local status, out = run("verify", "--data", path, "--scratch", folder)
      assert.equal(0, status)
      assert.truthy(out:find("\n0 damaged places, 0 differences between files\n", 1, true), out)
      status, out = run("dump", "--data", path, "--scratch", folder)
      assert.equal(0, status)
      compare(expected, parse(out), true)
      assert.equal(before, fixtures.state(path))
      assert.equal(0, scratch_left(folder))
    end)
  end

  it("dump recovers a crashed one on the way, and changes nothing", function()
    local expected = open("crashed-torn")
    local before = fixtures.state(path)
    local status, out = run("dump", "--data", path, "--scratch", folder)
    assert.equal(0, status)
    compare(expected, parse(out), false)
    assert.equal(before, fixtures.state(path))
  end)

  it("dump prints what selectors and times ask for, as JSON or as text", function()
    local expected = open("clean-delta")
    local series
    for _, one in ipairs(expected.series) do
      if one.count > 100 and one.metric.__name__ then series = one end
    end
    local name = series.metric.__name__
    local from, to = series.samples[11][1], series.samples[20][1]
    local status, out = run("dump", "--data", path, "--scratch", folder, "--start",
      ("%.3f"):format(from / 1000), "--end", ("%.3f"):format(to / 1000), name,
      ('{__name__="%s"}'):format(name))
    assert.equal(0, status)
    local found = parse(out)
    assert.equal(10, #found[fixtures.key(series.metric)])
    for key in pairs(found) do assert.truthy(key:find("__name__\0" .. name, 1, true)) end
    status, out = run("dump", "--data", path, "--text", "--scratch", folder, name)
    assert.equal(0, status)
    local lines = 0
    for line in out:gmatch("[^\n]+") do
      assert.equal(name, line:match("^[%w_:]+"))
      lines = lines + 1
    end
    local samples = 0
    for _, one in ipairs(expected.series) do
      if one.metric.__name__ == name then samples = samples + one.count end
    end
    assert.equal(samples, lines)
    local wrong, _, messages = run("dump", "--data", path, "rate(x[5m])")
    assert.equal(2, wrong)
    assert.truthy(messages:find("not a series selector", 1, true))
    assert.equal(2, (run("dump", "--data", path, "--start", "yesterday")))
  end)

  it("verify names file and chunk of damage, as text and as JSON", function()
    open("crashed-torn")
    local status, out = run("verify", "--data", path, "--scratch", folder)
    assert.equal(1, status)
    assert.truthy(out:find("damaged: 69/8762febd45a918.db, chunk 1: unknown chunk encoding 127\n",
      1, true))
    assert.truthy(out:find("was not closed cleanly", 1, true))
    status, out = run("verify", "--json", "--data", path, "--scratch", folder)
    assert.equal(1, status)
    local kinds, summary = {}, nil
    for line in out:gmatch("[^\n]+") do
      local object = cjson.decode(line)
      kinds[object.kind] = (kinds[object.kind] or 0) + 1
      if object.kind == "summary" then summary = object end
    end
    assert.is_false(summary.closed_cleanly)
    assert.equal(summary.damages, kinds.damaged)
    assert.equal(summary.differences, kinds.differs)
  end)

  it("repair makes a damaged one whole, and says what it did", function()
    local expected = open("crashed-torn")
    local status, out = run("repair", "--data", path)
    assert.equal(0, status)
    assert.truthy(out:find("\n14 given their metric again\n", 1, true), out)
    assert.is_false(fixtures.exists(path .. "/DIRTY"))
    status, out = run("verify", "--data", path, "--scratch", folder)
    assert.equal(0, status, out)
    status, out = run("dump", "--data", path, "--scratch", folder)
    assert.equal(0, status)
    compare(expected, parse(out), false)
  end)

  it("repair rebuilds a mappings.db that refuses the start", function()
    open("bad-mappings")
    local status, _, messages = run("dump", "--data", path, "--scratch", folder)
    assert.equal(1, status)
    assert.truthy(messages:find("tidemark repair", 1, true), messages)
    assert.equal(0, (run("repair", "--data", path)))
    assert.equal(0, (run("verify", "--data", path, "--scratch", folder)))
    local running = server.start(path)
    assert.equal(0, running:stop())
  end)

  it("nothing runs on what is no data folder, or is in use", function()
    open("wrong-version")
    for _, command in ipairs { "verify", "repair", "dump" } do
      local status, _, messages = run(command, "--data", path)
      assert.equal(1, status, command)
      assert.truthy(messages:find("version 2", 1, true), messages)
      status, _, messages = run(command, "--data", folder .. "/nowhere")
      assert.equal(1, status, command)
      assert.truthy(messages:find("nowhere", 1, true), messages)
    end
    os.execute("mkdir " .. folder .. "/empty")
    for _, command in ipairs { "verify", "repair", "dump" } do
      local status, _, messages = run(command, "--data", folder .. "/empty")
      assert.equal(1, status)
      assert.truthy(messages:find("no data folder", 1, true), messages)
    end
    local running = server.start(folder .. "/used")
    for _, command in ipairs { "verify", "repair", "dump" } do
      local status, _, messages = run(command, "--data", folder .. "/used")
      assert.equal(1, status, command)
      assert.truthy(messages:find("in use", 1, true), messages)
    end
    assert.equal(0, running:stop())
    assert.is_false(fixtures.exists(folder .. "/used/DIRTY"))
  end)

  it("a command that is stopped leaves no copies behind", function()
    open("wide")
    -- A reader that never reads: the command waits in the middle of its work.
    assert.equal(0, os.execute("mkfifo " .. folder .. "/pipe"))
    local reader = process.start({ "sh", "-c", "exec 3<" .. folder .. "/pipe; exec sleep 60" })
    local writer = process.start({ "sh", "-c", ("exec %s dump --data %s --scratch %s >%s/pipe")
      :format(program, path, folder, folder) })
    process.wait_for("copies", 10, function() return scratch_left(folder) == 1 end)
    assert.equal(128 + 15, writer:stop())
    assert.equal(0, scratch_left(folder))
    reader:kill()
  end)
end)
