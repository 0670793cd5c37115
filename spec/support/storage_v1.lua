-- A data folder read by the format's rules in Lua alone, without the C code: heads.db, series
-- files, mappings.db, and the names in the folder. For use in specs (busted's assert).
local assert = require "luassert"
local bit = require "bit"
local ffi = require "ffi"

local storage_v1 = {}
local RECORD = 1041

local function slurp(path)
  local file = assert(io.open(path, "rb"), path)
  local bytes = file:read("*a")
  file:close()
  return bytes
end

-- A cursor over bytes: unsigned and zigzag varints (as 64-bit), fixed fields, strings.
local Reader = {}
Reader.__index = Reader

function Reader:take(n)
  assert(self.at + n - 1 <= #self.bytes, "cut off")
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

local function little(bytes)
  local value = 0ULL
  for i = 8, 1, -1 do value = value * 256 + bytes:byte(i) end
  return tonumber(ffi.cast("int64_t", value))
end

local function file_of(folder, fp)
  return ("%s/%s/%s.db"):format(folder, fp:sub(1, 2), fp:sub(3))
end

-- Seconds and nanoseconds of the modification time as one 64-bit number, or -1.
local function mtime_ns(path)
  local pipe = io.popen("stat -c %.9Y " .. path .. " 2>/dev/null")
  local seconds, nanos = (pipe:read("*a") or ""):match("^(%d+)%.(%d+)")
  pipe:close()
  if not seconds then return -1LL end
  return tonumber(seconds) * 1000000000LL + tonumber(nanos)
end

-- First and last times of a series file's chunks, checked for order; none when there is no file.
local function file_chunks(path)
  local file = io.open(path, "rb")
  if not file then return {} end
  local bytes = file:read("*a")
  file:close()
  assert.equal(0, #bytes % RECORD, path)
  local chunks = {}
  for at = 1, #bytes, RECORD do
    local chunk = { first = little(bytes:sub(at + 1, at + 8)), last = little(bytes:sub(at + 9,
      at + 16)) }
    assert.is_true(bytes:byte(at) <= 2 and chunk.first <= chunk.last, path)
    local before = chunks[#chunks]
    assert.is_true(not before or before.last < chunk.first, path)
    chunks[#chunks + 1] = chunk
  end
  return chunks
end

local function read_series(reader, folder)
  local one = {}
  reader:take(1)
  one.fp = reader:hex(8)
  local name
  for _ = 1, reader:number() do
    local label = reader:string()
    assert.is_true(not name or name < label, "labels in order")
    assert.is_true(#reader:string() > 0)
    name = label
  end
  one.watermark, one.mtime = reader:number(), reader:varint()
  one.offset, one.first, one.count = reader:number(), reader:varint(), reader:number()
  assert.is_true(one.count >= 1 and one.watermark >= 0 and one.watermark <= one.count)
  assert.is_true(one.offset >= 0)
  local path = file_of(folder, one.fp)
  local chunks = file_chunks(path)
  assert.equal(#chunks, one.offset + one.watermark, one.fp)
  if #chunks > 0 then assert.is_true(mtime_ns(path) == one.mtime, one.fp) end
  for i = 1, one.count do
    if i <= one.watermark then
      local chunk = chunks[one.offset + i]
      assert.equal(chunk.first, reader:number())
      assert.equal(chunk.last, reader:number())
    else
      assert.is_true(reader:take(1):byte() <= 2)
      reader:take(1024)
    end
  end
  return one
end

-- Checks the folder; returns what heads.db has by fingerprint. `also`: a pattern of further names.
function storage_v1.check(folder, also)
  local reader = setmetatable({ bytes = slurp(folder .. "/heads.db"), at = 1 }, Reader)
  assert.equal("PrometheusHeads\4", reader:take(16))
  local total, seen = tonumber(reader:hex(8), 16), {}
  for _ = 1, total do
    local one = read_series(reader, folder)
    assert.is_nil(seen[one.fp])
    seen[one.fp] = one
  end
  assert.equal(#reader.bytes + 1, reader.at)
  assert.equal("1\n", slurp(folder .. "/VERSION"))
  assert.equal("PrometheusMappings\1", slurp(folder .. "/mappings.db"):sub(1, 19))
  local pipe = io.popen("cd " .. folder .. " && find . -type f | sort")
  for name in pipe:lines() do
    local known = name == "./VERSION" or name == "./heads.db" or name == "./heads.db.old" or
      name == "./mappings.db" or name:find("^%./%x%x/%x+%.db$") or name:find("^%./orphaned/") or
      name:find("^%./archived_fingerprint_to_%a+/") or name:find("^%./label%a+_to_%a+/") or
      name:find("^%./lost%+found") or name:find("^%./%.") or also and name:find(also)
    assert.truthy(known, name)
  end
  pipe:close()
  return seen
end

return storage_v1
