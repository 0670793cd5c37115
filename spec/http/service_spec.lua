-- What a service manager hears: systemd's notification protocol on a socket of the spec's own.
local posix = require "posix.sys.socket"
local unistd = require "posix.unistd"
local process = require "spec.support.process"

local build = os.getenv("BUILD") or "build"

describe("under a service manager", function()
  local folder, socket, server

  -- The next message that `pattern` is found in.
  local function hear(pattern)
    return process.wait_for("a message with " .. pattern, 20, function()
      local text = posix.recv(socket, 4096)
      return text and text:find(pattern) and text
    end)
  end

  setup(function()
    folder = process.folder()
    socket = assert(posix.socket(posix.AF_UNIX, posix.SOCK_DGRAM, 0))
    assert(posix.bind(socket, { family = posix.AF_UNIX, path = folder .. "/notify" }))
    assert(posix.setsockopt(socket, posix.SOL_SOCKET, posix.SO_RCVTIMEO, 10, 0))
    server = process.start({ "env", "NOTIFY_SOCKET=" .. folder .. "/notify",
      "WATCHDOG_USEC=200000", build .. "/tidemark", "serve", "--data", folder .. "/data",
      "--listen", "127.0.0.1:" .. process.free_port() }, folder .. "/log")
  end)

  teardown(function()
    server:kill()
    unistd.close(socket)
    process.remove(folder)
  end)

  it("says that it is ready, feeds the watchdog, and says that it stops", function()
    hear("READY=1")
    assert.truthy(hear("WATCHDOG=1"):find("STATUS=serving 0 series", 1, true))
    hear("WATCHDOG=1") -- and again
    server:signal(15)
    hear("STOPPING=1")
    assert.equal(0, server:stop())
  end)
end)
