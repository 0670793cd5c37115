-- Protobuf messages, made and read in Lua, for specs of protocols.
local tide = require "spec.support.tide"

local protobuf = {}

local function varint(n)
  local out = ""
  while n >= 128 do out, n = out .. string.char(n % 128 + 128), math.floor(n / 128) end
  return out .. string.char(n)
end

local function tag(number, kind) return varint(number * 8 + kind) end

-- Fields: a length-delimited one, a varint, a double, a fixed64 of a whole number below 2^53.
function protobuf.bytes(number, text) return tag(number, 2) .. varint(#text) .. text end
function protobuf.number(number, n) return tag(number, 0) .. varint(n) end
function protobuf.double(number, value)
  return tag(number, 1) .. tide.unhex(tide.bits(value)):reverse()
end
function protobuf.fixed(number, n)
  local out = ""
  for _ = 1, 8 do out, n = out .. string.char(n % 256), math.floor(n / 256) end
  return tag(number, 1) .. out
end

-- Reads a message: { [number] = { value, ... } }; numbers for varints, bytes for all else.
function protobuf.read(text)
  local at, out = 1, {}
  local function read_varint()
    local n, factor = 0, 1
    while true do
      local byte = text:byte(at) or error("cut off")
      at = at + 1
      n = n + byte % 128 * factor
      if byte < 128 then return n end
      factor = factor * 128
    end
  end
  while at <= #text do
    local key = read_varint()
    local number, kind = math.floor(key / 8), key % 8
    local value
    if kind == 0 then
      value = read_varint()
    else
      local len = kind == 1 and 8 or kind == 5 and 4 or kind == 2 and read_varint() or error("type")
      value = text:sub(at, at + len - 1)
      assert(#value == len, "cut off")
      at = at + len
    end
    out[number] = out[number] or {}
    table.insert(out[number], value)
  end
  return out
end

return protobuf
