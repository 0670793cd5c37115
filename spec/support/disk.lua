-- Folders, volumes and bytes for the specs of the disk room.
local ffi = require "ffi"
local tide = require "spec.support.tide"

local disk = {}
local C = tide.load("disk/volume.h", "disk/kv.h", "base/buf.h", "model/labels.h")
disk.C = C

local folders, volumes = {}, {}

-- An empty folder, removed by disk.cleanup.
function disk.folder()
  local name = os.tmpname()
  os.remove(name)
  assert(os.execute("mkdir -m 700 " .. name) == 0)
  folders[#folders + 1] = name
  return name
end

-- A volume on a folder (a new one if none is given), closed by disk.cleanup.
function disk.volume(path)
  path = path or disk.folder()
  local err = tide.error()
  local volume = C.volume_posix_open(path, true, err)
  assert(volume ~= nil, tide.text(err))
  volumes[#volumes + 1] = volume
  return volume, path
end

function disk.cleanup()
  for _, volume in ipairs(volumes) do volume.close(volume) end
  for _, folder in ipairs(folders) do os.execute("rm -rf '" .. folder .. "'") end
  folders, volumes = {}, {}
end

function disk.write(path, bytes)
  os.execute("mkdir -p '" .. path:match("^(.*)/") .. "'")
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
end

-- nil when there is no such file.
function disk.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local bytes = file:read("*a")
  file:close()
  return bytes
end

-- Calls C.name(..., err): true, or nil with text and code.
function disk.try(call, ...)
  local err = tide.error()
  local args = { ... }
  local count = select("#", ...)
  args[count + 1] = err
  local status = call(unpack(args, 1, count + 1))
  if type(status) == "number" then
    if status == 0 then return true end
  elseif status ~= nil then
    return status
  end
  return nil, tide.text(err), tonumber(err.code), err.sys_errno
end

-- The same, and it must succeed.
function disk.must(call, ...)
  local result, text = disk.try(call, ...)
  if not result then error(text, 2) end
  return result
end

-- A block of labels from { {name, value}, ... }; owned by the garbage collector.
function disk.labels(list)
  local array = ffi.new("struct label[?]", #list + 1)
  for i, pair in ipairs(list) do array[i - 1] = { pair[1], pair[2], #pair[1], #pair[2] } end
  local labels = disk.must(C.labels_new, array, #list)
  return ffi.gc(labels, C.labels_unref)
end

-- { {name, value}, ... } of a block, sorted by name.
function disk.label_list(labels)
  local list = {}
  for i = 0, tonumber(C.labels_count(labels)) - 1 do
    local label = C.labels_at(labels, i)
    list[i + 1] = { ffi.string(label.name, label.name_len),
      ffi.string(label.value, label.value_len) }
  end
  return list
end

-- The text of a struct buf, which is emptied.
function disk.take(buf)
  local text = ffi.string(buf.data, buf.len)
  C.buf_destroy(buf)
  return text
end

-- A decimal 64-bit number of a vector ("-9223372036854775808").
function disk.int64(text)
  if type(text) == "number" then return ffi.cast("int64_t", text) end
  local negative, digits = text:match("^(-?)(%d+)$")
  local value = 0LL
  for digit in digits:gmatch("%d") do value = value * 10 - tonumber(digit) end
  return negative == "-" and value or -value
end

-- 16 hex digits of a fingerprint.
function disk.hex64(value)
  value = ffi.cast("uint64_t", value)
  return bit.tohex(value, 16)
end

-- Permission bits and kind of a file, as ls prints them ("-rw-r-----"); nil if missing.
function disk.mode(path)
  local pipe = io.popen("stat -c %A '" .. path .. "' 2>/dev/null")
  local mode = pipe:read("*l")
  pipe:close()
  return mode
end

return disk
