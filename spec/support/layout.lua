-- The format of storage version 1 read in Lua alone, for specs that check what the C code wrote, or
-- that damage it on purpose (docs/reference/storage-format.md).
local bit = require "bit"
local ffi = require "ffi"

local layout = { RECORD = 1041 }

function layout.slurp(path)
  local file = assert(io.open(path, "rb"), path)
  local bytes = file:read("*a")
  file:close()
  return bytes
end

-- A cursor over bytes: unsigned and zigzag varints (as 64-bit), fixed fields, strings.
local Reader = {}
Reader.__index = Reader
layout.Reader = Reader

function layout.reader(bytes) return setmetatable({ bytes = bytes, at = 1 }, Reader) end

function Reader:take(n)
  assert(n >= 0 and self.at + n - 1 <= #self.bytes, "cut off")
  local part = self.bytes:sub(self.at, self.at + n - 1)
  self.at = self.at + n
  return part
end

function Reader:uvarint()
  local value, shift = 0ULL, 0
  repeat
    local byte = self:take(1):byte()
    value = value + bit.lshift(bit.band(byte, 127) + 0ULL, shift)
    shift = shift + 7
  until byte < 128
  return value
end

function Reader:varint()
  local u = self:uvarint()
  local half = ffi.cast("int64_t", bit.rshift(u, 1))
  return u % 2 == 1 and -half - 1 or half
end

function Reader:number() return tonumber(self:varint()) end
function Reader:string() return self:take(self:number()) end
function Reader:hex(n)
  return (self:take(n):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end
function Reader:ended() return self.at > #self.bytes end

-- A little-endian int64 as a number.
function layout.little(bytes)
  local value = 0ULL
  for i = 8, 1, -1 do value = value * 256 + bytes:byte(i) end
  return tonumber(ffi.cast("int64_t", value))
end

function layout.file_of(folder, fp)
  return ("%s/%s/%s.db"):format(folder, fp:sub(1, 2), fp:sub(3))
end

-- FNV-1a of a text, as a 64-bit number.
local function fnv(text)
  local hash = 0xcbf29ce484222325ULL
  for i = 1, #text do hash = bit.bxor(hash, text:byte(i)) * 0x100000001b3ULL end
  return hash
end

-- 16 hex digits of the raw fingerprint of { {name, value}, ... }.
function layout.fingerprint(labels)
  if #labels == 0 then return "cbf29ce484222325" end
  local fp = 0ULL
  for _, label in ipairs(labels) do fp = bit.bxor(fp, fnv(label[1] .. "\255" .. label[2])) end
  return bit.tohex(fp, 16)
end

-- The unique string of a metric: what tells metrics with one fingerprint apart.
function layout.unique(labels)
  local parts = {}
  for i, label in ipairs(labels) do parts[i] = label[1] .. "\255" .. label[2] end
  table.sort(parts)
  return table.concat(parts, "\255")
end

-- { first, last, encoding } of each whole record of a series file; {} when there is none.
function layout.file_chunks(path)
  local file = io.open(path, "rb")
  if not file then return {} end
  local bytes = file:read("*a")
  file:close()
  local chunks = {}
  for at = 1, #bytes - layout.RECORD + 1, layout.RECORD do
    chunks[#chunks + 1] = { first = layout.little(bytes:sub(at + 1, at + 8)),
      last = layout.little(bytes:sub(at + 9, at + 16)), encoding = bytes:byte(at) }
  end
  return chunks
end

-- The next series of heads.db: fp, labels, watermark, mtime, offset, first, chunks ({ first, last }
-- or { encoding, payload }), and the bytes [from, to) it stands in. `version` is 1 or 2.
function layout.read_head(reader, version)
  local one = { from = reader.at - 1, chunks = {}, labels = {} }
  one.flags = reader:take(1):byte()
  one.fp = reader:hex(8)
  for i = 1, reader:number() do one.labels[i] = { reader:string(), reader:string() } end
  if version == 2 then one.watermark, one.mtime = reader:number(), reader:varint() end
  one.offset, one.first, one.count = reader:number(), reader:varint(), reader:number()
  if version == 1 then one.watermark = one.flags % 2 == 1 and one.count or one.count - 1 end
  for i = 1, one.count do
    if i <= one.watermark then
      one.chunks[i] = { first = reader:number(), last = reader:number() }
    else
      one.chunks[i] = { encoding = reader:take(1):byte(), payload = reader:take(1024) }
    end
  end
  one.to = reader.at - 1
  return one
end

-- All series of heads.db in their order, and the version.
function layout.read_heads(bytes)
  local reader = layout.reader(bytes)
  assert(reader:take(15) == "PrometheusHeads")
  local version, heads = reader:number(), {}
  local total = tonumber(reader:hex(8), 16)
  for i = 1, total do heads[i] = layout.read_head(reader, version) end
  assert(reader:ended())
  return heads, version
end

return layout
