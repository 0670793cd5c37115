-- Consoles beside pushes at full rate: what they cost, and that they stop nobody. Figures are CPU
-- of the process and bytes of memory, never times.
local posix = require "posix.sys.socket"
local unistd = require "posix.unistd"
local process = require "spec.support.process"
local server = require "spec.support.server"
local terminal = require "spec.support.terminal"

local build = os.getenv("BUILD") or "build"

-- Lines of `series` samples, but for their time.
local function body_of(series)
  local lines = {}
  for i = 1, series do lines[i] = ("busy_total{series=\"%04d\"} 1 TIME"):format(i) end
  return table.concat(lines, "\n") .. "\n"
end

describe("consoles while pushes go on", function()
  local running, console, home
  local time = os.time() * 1000 - 3600000

  before_each(function()
    running, home = server.start(nil, "--set", "wal.sync=off"), process.folder()
    console = ("XDG_STATE_HOME=%s PAGER=cat %s/tidemark console --data %s"):format(home, build,
      running.folder)
  end)
  after_each(function()
    assert.equal(0, running:stop())
    process.remove(running.folder)
    process.remove(home)
  end)

  local function samples()
    local body = running:request("GET", "/metrics").body
    return tonumber(body:match("\nprometheus_local_storage_ingested_samples_total (%S+)\n"))
  end

  -- Pushes `count` times a later sample of each, on one connection; all of them must be taken.
  local function push(body, count)
    local client = running:connect(60)
    for _ = 1, count do
      time = time + 100
      local text = body:gsub("TIME", ("%d"):format(time))
      client:send(("POST /api/v1/import/prometheus HTTP/1.1\r\nHost: x\r\n" ..
        "Content-Length: %d\r\n\r\n%s"):format(#text, text))
      assert.equal(204, client:answer("POST").status)
    end
    client:close()
  end

  it("ends what runs at Ctrl-C, and loses no sample meanwhile", function()
    if not terminal.available() then pending("tmux is not installed") end
    local body = body_of(1000)
    push(body, 1)
    local before = samples()
    local screen = terminal.open(console)
    screen:wait_for("tidemark %S+>")
    screen:line("print('be' .. 'gun') while true do end")
    screen:wait_for("\nbegun")
    push(body, 100)
    screen:keys("C-c")
    screen:wait_for("cancelled")
    push(body, 20)
    assert.equal(before + 120 * 1000, samples())
    screen:line("'still ' .. 'here'")
    screen:wait_for("still here")
    screen:close()
  end)

  local function connect()
    local fd = assert(posix.socket(posix.AF_UNIX, posix.SOCK_STREAM, 0))
    assert(posix.connect(fd, { family = posix.AF_UNIX, path = running.folder .. "/console.sock" }))
    return fd
  end

  local function u32(n)
    return string.char(n % 256, math.floor(n / 256) % 256, math.floor(n / 65536) % 256, 0)
  end
  local function eval(fd, text) posix.send(fd, u32(#text) .. u32(1) .. "E\0\0\0" .. text) end

  it("a hundred of them, one flooding, one deaf: memory is bounded, pushes cost what they did",
    function()
      local body = body_of(2000)
      local rounds = os.getenv("LONG") == "1" and 3000 or 60

      -- CPU of the server for the same pushes; what consoles take of it is apart (user and system).
      local function cost()
        local cpu = running.process:usage()
        push(body, rounds)
        return running.process:usage() - cpu
      end
      push(body, 20)
      local alone = math.min(cost(), cost())
      local _, before = running.process:usage()
      local sockets = {}
      for i = 1, 100 do
        sockets[i] = connect()
        if i > 2 then eval(sockets[i], "return 1 + " .. i) end
      end
      eval(sockets[1], "while true do print(('x'):rep(1000)) end") -- never read
      local taken = samples()
      local beside = math.min(cost(), cost())
      assert.equal(taken + 2 * rounds * 2000, samples())
      -- Now one that floods and is read.
      local flooding = io.popen(console .. " --eval 'for i = 1, 50000 do print(i) end' | tail -1")
      push(body, rounds)
      assert.equal("50000\n", flooding:read("*a"))
      flooding:close()
      local _, after = running.process:usage()
      if os.getenv("FIGURES") then
        io.stderr:write(("\nalone %.2f s, beside %.2f s of CPU for %d samples; +%.1f MiB\n"):format(
          alone, beside, rounds * 2000, (after - before) / 2^20))
      end
      -- Within noise; a console that spins would take seconds.
      assert.is_true(beside < alone * 1.25 + 0.1, ("%.2f s, alone %.2f s"):format(beside, alone))
      assert.is_true(after - before < 150e6, "grew by " .. after - before .. " bytes")
      for _, fd in ipairs(sockets) do unistd.close(fd) end
      process.wait_for("the end of all consoles", 30, function()
        return running:request("GET", "/metrics").body:find("\ntidemark_consoles 0\n", 1, true)
      end)
    end)
end)
