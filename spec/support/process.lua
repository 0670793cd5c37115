-- Real processes for specs: start, wait for a condition with a deadline, stop, always reap.
local ffi = require "ffi"
local lfs = require "lfs"
local socket = require "socket"

ffi.cdef [[
  int fork(void);
  int execvp(const char *file, char *const argv[]);
  int waitpid(int pid, int *status, int options);
  int kill(int pid, int sig);
  int open(const char *path, int flags, ...);
  int dup2(int from, int to);
  void _exit(int status);
  int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
]]

local process = {}
process.__index = process

local SIGTERM, SIGKILL, WNOHANG = 15, 9, 1
local O_WRITE_CREATE_APPEND = 1 + 0x40 + 0x400
local PR_SET_PDEATHSIG = 1

-- A TCP port of the loopback interface that was free a moment ago.
function process.free_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return tonumber(port)
end

-- A fresh folder; process.remove(path) deletes it. "memory": in memory where the system has such a
-- place, for servers by the hundred whose disk is not what is tried.
function process.folder(where)
  local memory = where == "memory" and lfs.attributes("/dev/shm", "mode") == "directory"
  local pipe = io.popen("mktemp -d" .. (memory and " -p /dev/shm" or ""))
  local path = pipe:read("*l")
  pipe:close()
  return path
end

function process.remove(path)
  assert(path:match("^/tmp/") or path:match("^/dev/shm/tmp%."), "only what is ours: " .. path)
  os.execute("rm -rf '" .. path .. "'")
end

-- Calls `condition` until it returns something true (which is returned), at most `seconds` long.
function process.wait_for(what, seconds, condition)
  local deadline = socket.gettime() + seconds
  repeat
    local result = condition()
    if result then return result end
    socket.sleep(0.01)
  until socket.gettime() > deadline
  error("waited " .. seconds .. " s for " .. what, 2)
end

-- Starts a program; its output goes to the file `log`. It dies with us.
function process.start(argv, log)
  local args = ffi.new("char *[?]", #argv + 1)
  for i, text in ipairs(argv) do args[i - 1] = ffi.cast("char *", text) end
  local pid = ffi.C.fork()
  if pid == 0 then
    ffi.C.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    local out = ffi.C.open(log or "/dev/null", O_WRITE_CREATE_APPEND, ffi.cast("int", 420))
    ffi.C.dup2(out, 1)
    ffi.C.dup2(out, 2)
    ffi.C.execvp(args[0], args)
    ffi.C._exit(127)
  end
  return setmetatable({ pid = pid, log = log, name = argv[1] }, process)
end

function process:signal(number) ffi.C.kill(self.pid, number) end

-- Exit status (128 + signal if it was killed) once it has ended; nil while it runs.
function process:status()
  if self.ended then return self.ended end
  local status = ffi.new("int[1]")
  if ffi.C.waitpid(self.pid, status, WNOHANG) ~= self.pid then return nil end
  local raw = status[0]
  local signal = bit.band(raw, 0x7f)
  self.ended = signal == 0 and bit.rshift(bit.band(raw, 0xff00), 8) or 128 + signal
  return self.ended
end

-- SIGTERM (or another signal) and the exit status; killed after `seconds` (default 30), an error.
function process:stop(signal, seconds)
  if self:status() then return self.ended end
  self:signal(signal or SIGTERM)
  local ok = pcall(process.wait_for, "the end of " .. self.name, seconds or 30, function()
    return self:status()
  end)
  if not ok then
    self:kill()
    error(self.name .. " did not stop; its log:\n" .. self:output())
  end
  return self.ended
end

function process:kill()
  if self:status() then return end
  self:signal(SIGKILL)
  process.wait_for("the end of " .. self.name, 10, function() return self:status() end)
end

-- What it has printed so far.
function process:output()
  local file = self.log and io.open(self.log)
  if not file then return "" end
  local text = file:read("*a")
  file:close()
  return text
end

-- CPU seconds used and peak resident bytes, from /proc.
function process:usage()
  local stat = assert(io.open("/proc/" .. self.pid .. "/stat")):read("*a")
  local fields = {}
  for field in stat:match("%) (.*)"):gmatch("%S+") do fields[#fields + 1] = field end
  local peak = assert(io.open("/proc/" .. self.pid .. "/status")):read("*a"):match("VmHWM:%s+(%d+)")
  return (tonumber(fields[12]) + tonumber(fields[13])) / 100, tonumber(peak) * 1024
end

return process
