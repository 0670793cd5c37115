-- Many raw connections at once, by the system's own calls: luasocket's select ends at 1024.
local ffi = require "ffi"

ffi.cdef [[
  struct crowd_address { uint16_t family; uint16_t port; uint32_t ip; char zero[8]; };
  struct crowd_poll { int fd; short events; short revents; };
  int socket(int domain, int type, int protocol);
  int connect(int fd, const struct crowd_address *address, unsigned len);
  int close(int fd);
  int fcntl(int fd, int command, ...);
  long send(int fd, const void *bytes, size_t len, int flags);
  long recv(int fd, void *bytes, size_t len, int flags);
  int poll(struct crowd_poll *list, unsigned long count, int timeout_ms);
  uint16_t htons(uint16_t number);
]]

local AF_INET, SOCK_STREAM = 2, 1
local MSG_NOSIGNAL, MSG_DONTWAIT = 0x4000, 0x40
local F_DUPFD = 0
local POLLIN, POLLOUT = 1, 4

local crowd = {}
crowd.__index = crowd

-- `count` connections to a port of 127.0.0.1; fewer when this process may not open so many.
function crowd.open(port, count)
  local self = setmetatable({ fds = {}, open = 0 }, crowd)
  local address = ffi.new("struct crowd_address", AF_INET, ffi.C.htons(port), 0x0100007f)
  for i = 1, count do
    local low = ffi.C.socket(AF_INET, SOCK_STREAM, 0)
    local fd = ffi.C.fcntl(low, F_DUPFD, ffi.cast("int", 1024)) -- luasocket needs the low ones
    ffi.C.close(low)
    if fd < 0 then break end
    self.fds[i] = fd
    if ffi.C.connect(fd, address, 16) ~= 0 then break end
    self.open = i
  end
  return self
end

-- Bytes to each (a text, or a function of its number); how many took them.
function crowd:send(bytes)
  local taken = 0
  for i, fd in ipairs(self.fds) do
    local text = type(bytes) == "function" and bytes(i) or bytes
    if ffi.C.send(fd, text, #text, MSG_NOSIGNAL + MSG_DONTWAIT) == #text then taken = taken + 1 end
  end
  return taken
end

-- What the i-th has received so far, and whether the server has closed it.
function crowd:receive(i)
  local parts, room = {}, ffi.new("char[65536]")
  while true do
    local got = tonumber(ffi.C.recv(self.fds[i], room, 65536, MSG_DONTWAIT))
    if got == 0 then return table.concat(parts), true end
    if got < 0 then
      local errno = ffi.errno()
      return table.concat(parts), errno ~= 11 -- EAGAIN; anything else is a reset
    end
    parts[#parts + 1] = ffi.string(room, got)
  end
end

-- Waits until each has been closed by the server, sending `drip` to each meanwhile; their answers.
function crowd:drain(seconds, drip)
  local socket = require "socket"
  local deadline, answers, left = socket.gettime() + seconds, {}, {}
  for i = 1, #self.fds do left[i], answers[i] = i, "" end
  while #left > 0 do
    if socket.gettime() > deadline then error(#left .. " are still open", 2) end
    local still = {}
    for _, i in ipairs(left) do
      local text, closed = self:receive(i)
      answers[i] = answers[i] .. text
      if not closed then still[#still + 1] = i end
    end
    left = still
    if drip then
      for _, i in ipairs(left) do
        ffi.C.send(self.fds[i], drip, #drip, MSG_NOSIGNAL + MSG_DONTWAIT)
      end
    end
    socket.sleep(0.02)
  end
  return answers
end

-- Sends as much of `bytes` over the i-th as the server takes within `seconds`; how much that was.
function crowd:pour(i, bytes, seconds)
  local at, from = 0, ffi.cast("const char *", bytes)
  local wait = ffi.new("struct crowd_poll[1]")
  while at < #bytes do
    wait[0].fd, wait[0].events = self.fds[i], POLLOUT
    if ffi.C.poll(wait, 1, seconds * 1000) ~= 1 then break end
    local sent = tonumber(ffi.C.send(self.fds[i], from + at, #bytes - at,
      MSG_NOSIGNAL + MSG_DONTWAIT))
    if sent < 0 then break end
    at = at + sent
  end
  return at
end

-- Waits for input at the i-th.
function crowd:wait(i, seconds)
  local wait = ffi.new("struct crowd_poll[1]")
  wait[0].fd, wait[0].events = self.fds[i], POLLIN
  return ffi.C.poll(wait, 1, seconds * 1000) == 1
end

function crowd:close()
  for _, fd in ipairs(self.fds) do ffi.C.close(fd) end
  self.fds = {}
end

return crowd
