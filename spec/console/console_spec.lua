-- The console as people and programs use it: on a terminal, through pipes, a hundred at once.
local cjson = require "cjson"
local posix = require "posix.sys.socket"
local unistd = require "posix.unistd"
local process = require "spec.support.process"
local server = require "spec.support.server"
local terminal = require "spec.support.terminal"

local build = os.getenv("BUILD") or "build"

describe("tidemark console", function()
  local running, home, console

  local function push(text)
    local answer = running:request("POST", "/api/v1/import/prometheus", text)
    assert(answer.status == 204, answer.body)
  end

  -- Runs a shell line; its output and exit status.
  local function shell(line)
    local pipe = io.popen("{ " .. line .. "; } 2>&1; echo \"status=$?\"")
    local text = pipe:read("*a")
    pipe:close()
    local output, status = text:match("^(.*)status=(%d+)\n$")
    return output, tonumber(status)
  end

  setup(function()
    running = server.start()
    home = process.folder()
    console = ("XDG_STATE_HOME=%s PAGER=cat %s/tidemark console --data %s"):format(home, build,
      running.folder)
    push('room_celsius{room="attic"} 21.5\nroom_celsius{room="cellar"} 12.25\n')
  end)

  teardown(function()
    running:stop()
    process.remove(home)
  end)

  describe("without a terminal", function()
    it("evaluates one expression", function()
      local output, status = shell(console .. " --eval '1 + 1'")
      assert.equal("2\n", output)
      assert.equal(0, status)
    end)

    it("shows series as a table", function()
      local output = shell(console .. " --eval 'tide.query \"room_celsius\"'")
      assert.truthy(output:find('room_celsius{room="attic"}%s+21%.5'))
      assert.truthy(output:find('room_celsius{room="cellar"}%s+12%.25'))
    end)

    it("takes a piped script as a whole", function()
      local output, status = shell(
        "printf 'local sum = 0\\nfor i = 1, 4 do sum = sum + i end\\nreturn sum\\n' | " .. console)
      assert.equal("10\n", output)
      assert.equal(0, status)
    end)

    it("answers as JSON", function()
      local output, status = shell("echo 'return {1, \"two\"}, tide.store.stats()' | " .. console ..
        " --json")
      assert.equal(0, status)
      local answer = cjson.decode(output)
      assert.same({ 1, "two" }, answer.values[1])
      assert.equal(2, answer.values[2].series)
    end)

    it("ends with 1 after an error, and says it", function()
      local output, status = shell("echo 'error(\"no\")' | " .. console)
      assert.truthy(output:find("no", 1, true))
      assert.equal(1, status)
      output, status = shell(console .. " --eval 'for i = 1,'")
      assert.truthy(output:find("middle of a statement", 1, true))
      assert.equal(1, status)
    end)

    it("ends with 1 where no server is", function()
      local output, status = shell(build .. "/tidemark console --socket /nowhere/x.sock --eval 1")
      assert.truthy(output:find("no server at /nowhere/x.sock", 1, true))
      assert.equal(1, status)
    end)

    it("draws a chart with its axes and a legend", function()
      local lines, now = {}, os.time()
      for i = 0, 59 do
        lines[#lines + 1] = ("slope %d %d000\n"):format(i, now - 3600 + i * 60)
      end
      push(table.concat(lines))
      local output, status = shell(console .. " --eval 'plot \"slope\"'")
      assert.equal(0, status)
      assert.truthy(output:find("^%s+59 ┤"))
      assert.truthy(output:find("\n%s+0 ┤"))
      assert.truthy(output:find("\n  slope  last 59\n"))
      -- It rises: the first row has dots at its right end, the last one at its left.
      local rows = {}
      for row in output:gmatch("[┤│]([^\n]+)\n") do rows[#rows + 1] = row end
      local blank = "\226\160\128"
      assert.equal(blank, rows[1]:match("\226\160\128"))
      assert.truthy(rows[14] and not rows[14]:find("^" .. blank:rep(8)))
    end)

    it("says what there is", function()
      local output = shell(console .. " --eval 'help()'")
      for _, name in ipairs { "plot", "top", "kill", "watch", "samples", "undelete" } do
        assert.truthy(output:find("\n  " .. name .. "(", 1, true), name)
      end
    end)

    it("shows stored samples and the largest labels", function()
      local output = shell(console .. " --json --eval 'samples(\"room_celsius\", \"1h\")'")
      assert.equal(2, #cjson.decode(output).values[1])
      output = shell(console .. " --json --eval 'top(\"label_pairs\", 1)'")
      assert.equal("__name__=room_celsius", cjson.decode(output).values[1][1].text)
    end)

    it("keeps others out by who they are, whatever the socket's mode", function()
      if shell("id -u") ~= "0\n" then pending("needs root, to be somebody else") end
      local other = server.start()
      finally(function()
        other:stop()
        process.remove(other.folder)
      end)
      assert.equal("", (shell("chmod 755 " .. other.folder .. " && chmod 666 " .. other.folder ..
        "/console.sock")))
      local ask = ("XDG_STATE_HOME=/nowhere %s/tidemark console --data %s --eval '6 * 7'"):format(
        build, other.folder)
      assert.equal("42\n", (shell(ask)))
      local text, status = shell("setpriv --reuid=65534 --regid=65534 --clear-groups env " .. ask)
      assert.is_nil(text:find("42", 1, true), text)
      assert.equal(1, status)
      assert.is_truthy(other.process:output():find('msg="a console was refused" user=65534', 1,
        true))
    end)

    it("keeps others out by the socket's mode", function()
      assert.equal("600\n", (shell("stat -c %a " .. running.folder .. "/console.sock")))
    end)
  end)

  describe("on a terminal", function()
    local screen

    local function open(columns, rows)
      screen = terminal.open(console, columns, rows)
      screen:wait_for("tidemark %S+>")
    end

    before_each(function()
      if not terminal.available() then pending("tmux is not installed") end
    end)
    after_each(function()
      if screen then screen:close() end
      screen = nil
    end)

    it("completes names, metrics and label values", function()
      open()
      screen:type("tide.quer")
      screen:keys("Tab")
      screen:wait_for("tide%.query")
      screen:type(' "room_c')
      screen:keys("Tab")
      screen:wait_for("room_celsius")
      screen:type("{room=")
      screen:type("'at")
      screen:keys("Tab")
      screen:wait_for("{room='attic")
      screen:type("'}\"")
      screen:keys("Enter")
      screen:wait_for('room_celsius{room="attic"}%s+21%.5')
    end)

    it("lists what there is where names part", function()
      open()
      screen:type("tide.s")
      screen:keys("Tab")
      screen:wait_for("series%s+server%s+shared")
    end)

    it("takes a statement of several lines", function()
      open()
      screen:line("for i = 1, 3 do")
      screen:wait_for("%.%.%.>")
      screen:line("print('line ' .. i)")
      screen:line("end")
      screen:wait_for("line 1\nline 2\nline 3")
    end)

    it("forgets the line at Ctrl-C, and ends at Ctrl-D", function()
      open()
      screen:type("some nonsense")
      screen:keys("C-c")
      screen:line("6 * 7")
      screen:wait_for("\n42\n")
      screen:keys("C-d")
      screen:wait_for("status=0")
    end)

    it("watches a query until Ctrl-C", function()
      open()
      screen:line("watch('room_celsius', '100ms')")
      screen:wait_for("attic.-cellar.-attic")
      screen:keys("C-c")
      screen:wait_for("cancelled")
    end)

    it("ends what runs at Ctrl-C while pushes go on", function()
      open()
      screen:line("print('be' .. 'gun') while true do end")
      screen:wait_for("\nbegun")
      for i = 1, 50 do push("pushed " .. i .. "\n") end
      screen:keys("C-c")
      screen:wait_for("cancelled")
      screen:line("'still ' .. 'here'")
      screen:wait_for("still here")
    end)

    it("remembers lines from one console to the next", function()
      open()
      screen:line("'a line to ' .. 'remember'")
      screen:wait_for("a line to remember")
      screen:close()
      open()
      screen:keys("Up")
      screen:wait_for("'a line to ' .. 'remember'")
    end)

    it("shows long answers by $PAGER, short ones as they are", function()
      local before = console
      console = console:gsub("PAGER=cat", "PAGER='sed s/^/paged:/'")
      open(80, 20)
      console = before
      screen:line("('long\\n'):rep(40)")
      screen:wait_for("\npaged:long\npaged:long\n")
      screen:line("('short\\n'):rep(3)")
      screen:wait_for("\nshort\nshort\nshort\n")
    end)

    it("draws a chart", function()
      local lines, now = {}, os.time()
      for i = 0, 59 do
        lines[#lines + 1] = ("rise %d %d000\n"):format(i, now - 3600 + i * 60)
      end
      push(table.concat(lines))
      open()
      screen:line("plot 'rise'")
      local text = screen:wait_for("rise  last 59")
      assert.truthy(text:find("59 ┤", 1, true) and text:find("└────", 1, true))
    end)

    it("shows records as a table, and completes its commands", function()
      open()
      screen:type("chu")
      screen:keys("Tab")
      screen:wait_for("> chunks")
      screen:type(" 'room_c")
      screen:keys("Tab")
      screen:wait_for("'room_celsius")
      screen:line("'")
      screen:wait_for("first +last +encoding +samples +bytes +place")
    end)

    it("lives through another size of the window", function()
      open(100, 30)
      screen:resize(50, 12)
      screen:line("('wide '):rep(3)")
      screen:wait_for("wide wide wide")
    end)

    it("waits for a server that restarts", function()
      open()
      local port = running.port
      running.process:stop()
      screen:line("1")
      screen:wait_for("connection was lost")
      running = server.start(running.folder, "--listen", "127.0.0.1:" .. port)
      screen:wait_for("connected again")
      screen:line("20 + 3")
      screen:wait_for("\n23\n")
    end)
  end)

  it("says that its server is gone, and leaves", function()
    if not terminal.available() then pending("tmux is not installed") end
    local other = server.start()
    local screen = terminal.open(("XDG_STATE_HOME=%s %s/tidemark console --data %s"):format(home,
      build, other.folder))
    screen:wait_for("tidemark %S+>")
    other.process:kill()
    screen:line("1")
    screen:wait_for("connection was lost")
    screen:keys("C-c")
    screen:wait_for("%(no server%)>")
    screen:keys("C-d")
    screen:wait_for("status=")
    screen:close()
    process.remove(other.folder)
  end)

  it("serves a hundred at once, one flooding, one never reading", function()
    local sockets = {}
    local function connect()
      local fd = assert(posix.socket(posix.AF_UNIX, posix.SOCK_STREAM, 0))
      assert(posix.connect(fd,
        { family = posix.AF_UNIX, path = running.folder .. "/console.sock" }))
      sockets[#sockets + 1] = fd
      return fd
    end
    local function u32(n)
      return string.char(n % 256, math.floor(n / 256) % 256, math.floor(n / 65536) % 256, 0)
    end
    local function eval(fd, text) posix.send(fd, u32(#text) .. u32(1) .. "E\0\0\0" .. text) end

    local deaf = connect()
    eval(deaf, "while true do print(('x'):rep(1000)) end")
    local _, before = running.process:usage()
    for _ = 1, 97 do connect() end
    local flooding = io.popen(console .. " --eval 'for i = 1, 20000 do print(i) end' | tail -1")
    for i = 1, 100 do push("pushed " .. i .. "\n") end
    assert.equal("20000\n", flooding:read("*a"))
    flooding:close()
    assert.equal("2\n", (shell(console .. " --eval '1 + 1'")))
    local _, after = running.process:usage()
    assert.is_true(after - before < 100e6, "grew by " .. after - before .. " bytes")
    for _, fd in ipairs(sockets) do unistd.close(fd) end
    -- The last of them leaves: nothing stays behind.
    process.wait_for("the end of all consoles", 20, function()
      return running:request("GET", "/metrics").body:find("\ntidemark_consoles 0\n", 1, true)
    end)
  end)
end)
