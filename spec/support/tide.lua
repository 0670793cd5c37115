-- The shared library by FFI: tide.load("model/labels.h", ...) declares headers and returns the
-- library. BUILD names the variant's folder.
local ffi = require "ffi"

local tide = {}
local build = os.getenv("BUILD") or "build"
local declared = {}

-- All headers given are preprocessed together; lines that an earlier call declared are left out
-- by whole headers (each header is declared once).
local function declare(header)
  if declared[header] then return end
  declared[header] = true
  local source = assert(io.open("core/" .. header)):read("*a")
  for included in source:gmatch('#include "([^"]+)"') do declare(included) end
  -- Only this header's own text: the ones it includes are declared above.
  local own = source:gsub('#include "base/base.h"', "\1"):gsub('#include "[^"]+"', "")
  own = own:gsub("\1", '#include "base/base.h"')
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(own)
  file:close()
  local pipe = io.popen("cc -E -P -DTIDE_CDEF -Icore -x c " .. name)
  local text = pipe:read("*a")
  pipe:close()
  os.remove(name)
  local ok, problem = pcall(ffi.cdef, text)
  if not ok then error(header .. ": " .. tostring(problem)) end
end

local library

function tide.load(...)
  for _, header in ipairs { "base/error.h", ... } do declare(header) end
  library = library or ffi.load("./" .. build .. "/libtide.so")
  return library
end

-- A fresh struct error, and its text.
function tide.error() return ffi.new("struct error") end
function tide.text(err) return ffi.string(err.text) end

-- 64-bit numbers of JSON vectors are strings or hex.
function tide.hex64(text) return tonumber("0x" .. text:sub(1, 8)) * 4294967296ULL +
  tonumber("0x" .. text:sub(9, 16)) end

-- The bits of a double as 16 hex digits, and back.
local pun = ffi.typeof("union { double d; uint64_t u; uint32_t w[2]; }")
function tide.bits(value)
  local u = pun()
  u.d = value
  return ("%08x%08x"):format(u.w[1], u.w[0])
end
function tide.double(hex)
  local u = pun()
  u.w[1], u.w[0] = tonumber(hex:sub(1, 8), 16), tonumber(hex:sub(9, 16), 16)
  return u.d
end

-- The same with the bits as uint64_t.
function tide.bits64(value) return pun({ d = value }).u end
function tide.double64(bits) return pun({ u = bits }).d end

-- Bytes of a hex string, and back.
function tide.unhex(hex)
  return (hex:gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end))
end
function tide.hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

-- A JSON file of spec/data, decoded. (Numbers over 2^53 are strings there.)
function tide.vectors(path)
  local file = assert(io.open("spec/data/" .. path))
  local text = file:read("*a")
  file:close()
  return require("cjson").decode(text)
end

return tide
