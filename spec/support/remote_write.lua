-- Bodies of remote write 1.0, made in Lua: protobuf in one snappy block of literals.
local ffi = require "ffi"
local bit = require "bit"

local remote_write = {}

local function uvarint(n)
  local out = {}
  while n >= 128 do
    out[#out + 1] = string.char(n % 128 + 128)
    n = math.floor(n / 128)
  end
  out[#out + 1] = string.char(n)
  return table.concat(out)
end

-- A time in ms as an int64 varint; negative ones take ten bytes.
local function int64(n)
  if n >= 0 then return uvarint(n) end
  local value, out = ffi.cast("uint64_t", ffi.cast("int64_t", n)), {}
  for _ = 1, 9 do
    out[#out + 1] = string.char(bit.bor(tonumber(value % 128), 128))
    value = value / 128
  end
  return table.concat(out) .. string.char(tonumber(value))
end

local double = ffi.new("double[1]")
local function fixed64(value)
  if type(value) == "string" then -- the 16 hex digits of its bits
    return value:gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end):reverse()
  end
  double[0] = value
  return ffi.string(double, 8)
end

local function field(number, bytes)
  return string.char(number * 8 + 2) .. uvarint(#bytes) .. bytes
end

-- A snappy block that holds `bytes` as they are.
function remote_write.snappy(bytes)
  local out = { uvarint(#bytes) }
  for from = 1, #bytes, 65536 do
    local part = bytes:sub(from, from + 65535)
    local n = #part - 1
    out[#out + 1] = string.char(61 * 4, n % 256, math.floor(n / 256)) .. part
  end
  return table.concat(out)
end

-- series: a list of { labels = { name = value, ... }, { time_ms, value }, ... }; a value may be the
-- hex digits of its bits. Returns the protobuf message.
function remote_write.message(series)
  local out = {}
  for _, one in ipairs(series) do
    local names, parts = {}, {}
    for name in pairs(one.labels) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
      parts[#parts + 1] = field(1, field(1, name) .. field(2, one.labels[name]))
    end
    for _, sample in ipairs(one) do
      parts[#parts + 1] = field(2, "\9" .. fixed64(sample[2]) .. "\16" .. int64(sample[1]))
    end
    out[#out + 1] = field(1, table.concat(parts))
  end
  return table.concat(out)
end

function remote_write.body(series) return remote_write.snappy(remote_write.message(series)) end

-- POSTs a request's body; errors on any other status than 2xx.
function remote_write.post(url, body)
  local http, ltn12 = require "socket.http", require "ltn12"
  local answer = {}
  local _, status = http.request {
    url = url,
    method = "POST",
    source = ltn12.source.string(body),
    sink = ltn12.sink.table(answer),
    headers = {
      ["Content-Type"] = "application/x-protobuf",
      ["Content-Encoding"] = "snappy",
      ["Content-Length"] = #body,
      ["X-Prometheus-Remote-Write-Version"] = "0.1.0",
    },
  }
  if tonumber(status) == nil or status >= 300 then
    error(("remote write to %s: %s %s"):format(url, tostring(status), table.concat(answer)))
  end
end

-- POSTs the series to a server, a request for each `batch` series.
function remote_write.push(url, series, batch)
  for from = 1, #series, batch or 1000 do
    local part = {}
    for i = from, math.min(from + (batch or 1000) - 1, #series) do part[#part + 1] = series[i] end
    remote_write.post(url, remote_write.body(part))
  end
end

return remote_write
