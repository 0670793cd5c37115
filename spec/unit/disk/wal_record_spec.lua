-- The log's records: what is written comes back bit for bit, what is damaged is seen.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("disk/wal_record.h", "base/buf.h", "model/labels.h")

local function round_trip(value)
  local bytes = ffi.new("uint8_t[16]")
  local size = tonumber(C.wal_value_put(bytes, value))
  local back = ffi.new("double[1]")
  assert.is_true(C.wal_value_get(bytes, bytes + size, back) == bytes + size)
  for cut = 0, size - 1 do
    assert.is_true(C.wal_value_get(bytes, bytes + cut, back) == nil)
  end
  C.wal_value_get(bytes, bytes + size, back)
  return tide.bits(back[0]), size
end

describe("wal_value", function()
  local special = { "0000000000000000", "8000000000000000", "7ff0000000000002", "7ff8000000000001",
    "fff0000000000000", "7ff0000000000000", "0000000000000001", "7fefffffffffffff",
    "fff8000000000123", "433fffffffffffff", "4340000000000000", "c3e0000000000000" }
  for _, bits in ipairs(special) do
    it("keeps the bits " .. bits, function()
      assert.equal(bits, (round_trip(tide.double(bits))))
    end)
  end

  it("keeps every sample of a fixture", function()
    local seen = 0
    for _, series in ipairs(tide.vectors("prom1x/clean-varbit.expected.json").series) do
      for _, sample in ipairs(series.samples) do
        seen = seen + 1
        assert.equal(sample[3], (round_trip(tide.double(sample[3]))))
      end
    end
    assert.is_true(seen > 1000)
  end)

  it("takes few bytes for what is common", function()
    assert.equal(1, select(2, round_trip(42)))
    assert.equal(3, select(2, round_trip(-1000)))
    assert.equal(3, select(2, round_trip(21.5)))
    assert.equal(4, select(2, round_trip(1234.56)))
    assert.is_true(select(2, round_trip(1234567890)) <= 6)
    assert.equal(9, select(2, round_trip(math.pi)))
  end)
end)

-- A batch as text lines, through the decoder's visitor.
local function decode(body)
  local lines = {}
  local function add(...) lines[#lines + 1] = table.concat({ ... }, " ") end
  local visitor = ffi.new("struct wal_batch_visitor")
  visitor.define = function(_, fp, list, count)
    local text = {}
    for i = 0, tonumber(count) - 1 do
      text[#text + 1] = ffi.string(list[i].name, list[i].name_len) .. "=" ..
        ffi.string(list[i].value, list[i].value_len)
    end
    add("define", tostring(fp), table.concat(text, ","))
    return 0
  end
  visitor.bind = function(_, id, fp) add("bind", id, tostring(fp)) return 0 end
  visitor.put = function(_, id, time, value)
    add("put", id, tostring(time), tide.bits(value))
    return 0
  end
  visitor.late = function(_, id, time, value, rule)
    add("late", id, tostring(time), tide.bits(value), tonumber(rule))
    return 0
  end
  local err = tide.error()
  local status = C.wal_batch_decode(body, #body, visitor, err)
  for _, field in ipairs { "define", "bind", "put", "late" } do visitor[field]:free() end
  return status == 0 and lines or nil, status ~= 0 and tide.text(err) or nil, lines
end

local function sample_batch()
  local batch, out = ffi.new("struct wal_batch"), ffi.new("struct buf")
  local list = ffi.new("struct label[2]", { { "__name__", "up", 8, 2 }, { "job", "x", 3, 1 } })
  local labels = C.labels_new(list, 2, tide.error())
  C.wal_batch_define(batch, 77, labels)
  C.wal_batch_bind(batch, 300000, 77)
  C.wal_batch_put(batch, 300000, 1700000000000LL, 1.5)
  C.wal_batch_put(batch, 3, 1700000000000LL, 7)
  C.wal_batch_put(batch, 4, -9223372036854775807LL - 1, tide.double("7ff0000000000002"))
  C.wal_batch_put(batch, 5, 9223372036854775807LL, 0)
  C.wal_batch_put_late(batch, 5, 1600000000000LL, 2, 1)
  C.wal_batch_encode(batch, out)
  local body = ffi.string(out.data, out.len)
  C.labels_unref(labels)
  C.wal_batch_destroy(batch)
  C.buf_destroy(out)
  return body
end

describe("wal_batch", function()
  it("comes back as it was written", function()
    assert.same({
      "define 77ULL __name__=up,job=x",
      "bind 300000 77ULL",
      "put 300000 1700000000000LL 3ff8000000000000",
      "put 3 1700000000000LL 401c000000000000",
      "put 4 -9223372036854775808LL 7ff0000000000002",
      "put 5 9223372036854775807LL 0000000000000000",
      "late 5 1600000000000LL 4000000000000000 1",
    }, decode(sample_batch()))
  end)

  it("is an error at every cut", function()
    local body = sample_batch()
    for cut = 0, #body - 1 do
      local lines, text = decode(body:sub(1, cut))
      assert.is_nil(lines)
      assert.matches("log record: .* cut off or malformed", text)
    end
  end)
end)

describe("wal_frame", function()
  local function frame_of(body, number)
    local size = tonumber(C.wal_frame_size(#body))
    local out = ffi.new("uint8_t[?]", size)
    C.wal_frame_write(out, C.WAL_BATCH, number, body, #body, C.wal_body_crc(body, #body))
    return ffi.string(out, size)
  end

  it("is found whole, and not when a bit of it is flipped or it is cut", function()
    local bytes, frame = frame_of("hello, log", 9), ffi.new("struct wal_frame")
    assert.equal(0, #bytes % 8)
    assert.is_true(C.wal_frame_read(bytes, #bytes, frame))
    assert.equal(9, tonumber(frame.number))
    assert.equal("hello, log", ffi.string(frame.body, frame.body_len))
    for i = 1, 21 + 10 do -- the padding is not covered
      local flipped = bytes:sub(1, i - 1) .. string.char(bit.bxor(bytes:byte(i), 0x10)) ..
        bytes:sub(i + 1)
      assert.is_false(C.wal_frame_read(flipped, #flipped, frame))
    end
    for cut = 0, #bytes - 1 do assert.is_false(C.wal_frame_read(bytes, cut, frame)) end
  end)

  it("is found behind damage", function()
    local first, second = frame_of(("x"):rep(100), 1), frame_of("next", 2)
    local damaged = ("\0"):rep(24) .. first:sub(25) .. second
    assert.equal(#first, tonumber(C.wal_frame_search(damaged, #damaged, 0)))
    assert.equal(#damaged, tonumber(C.wal_frame_search(damaged, #damaged, #first + 8)))
  end)
end)
