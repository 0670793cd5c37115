-- Remote read: the protocol document's vectors; chunks read back by a decoder written here.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("wire/remote_read.h", "wire/remote_read_answer.h", "wire/xor_chunk.h",
  "model/columns.h", "model/labels.h", "model/matcher.h", "base/buf.h", "base/arena.h",
  "base/crc32c.h")

local function decode(body)
  local request, arena, err = ffi.new("struct remote_read_request"), ffi.new("struct arena"),
    tide.error()
  if C.remote_read_decode(body, #body, arena, request, err) ~= 0 then return nil, tide.text(err) end
  local out = { streamed = request.streamed }
  for i = 0, tonumber(request.query_count) - 1 do
    local query = request.queries[i]
    out[i + 1] = { tonumber(query.start_ms), tonumber(query.end_ms) }
    for j = 0, tonumber(query.matcher_count) - 1 do
      local m = query.matchers[j]
      table.insert(out[i + 1], { tonumber(m.type), ffi.string(m.name, m.name_len),
        ffi.string(m.value, m.value_len) })
    end
  end
  C.arena_destroy(arena)
  return out
end

local REQUEST = tide.unhex("0a2008a0a883ffbc311080d095ffbc311a10080012085f5f6e616d655f5f1a027570")

describe("a remote read request", function()
  it("is read (the document's one)", function()
    assert.same({ { 1699999700000, 1700000000000, { 0, "__name__", "up" } }, streamed = true },
      decode(REQUEST .. tide.unhex("12020100")))
  end)

  it("gets samples when it accepts them first, or says nothing", function()
    assert.is_false(decode(REQUEST).streamed)
    assert.is_false(decode(REQUEST .. "\18\2\0\1").streamed)
    assert.is_false(decode(REQUEST .. "\18\2\9\0").streamed)
    assert.is_true(decode(REQUEST .. "\16\1").streamed)
  end)

  it("is refused when it is broken or accepts nothing that we have", function()
    local _, why = decode(REQUEST .. "\18\1\7")
    assert.equal("none of the accepted response types is one of SAMPLES (0) and " ..
      "STREAMED_XOR_CHUNKS (1)", why)
    assert.equal("not a remote read request: broken protobuf",
      select(2, decode(REQUEST:sub(1, 30))))
    assert.equal("matcher of unknown type 4", select(2, decode("\10\4\26\2\8\4")))
    assert.equal("more than 1000 queries", select(2, decode(("\10\0"):rep(1001))))
    assert.same({ streamed = false }, decode(""))
  end)
end)

local function labels_of(...)
  local list = { ... }
  local array = ffi.new("struct label[?]", #list)
  for i, pair in ipairs(list) do array[i - 1] = { pair[1], pair[2], #pair[1], #pair[2] } end
  return C.labels_new(array, #list, tide.error())
end

local function bytes_of(buf)
  local text = ffi.string(buf.data, buf.len)
  C.buf_destroy(buf)
  return text
end

describe("a remote read answer", function()
  local labels = labels_of({ "__name__", "up" }, { "job", "api" })
  local columns = ffi.new("struct columns")
  C.columns_append(columns, 1700000000000, 1)

  it("in samples holds the TimeSeries of remote write (the document's message)", function()
    local result, response = ffi.new("struct buf"), ffi.new("struct buf")
    C.remote_read_put_series(result, labels, columns)
    C.remote_read_put_result(response, result)
    assert.equal("0a30" .. "0a2e0a0e0a085f5f6e616d655f5f120275700a0a0a036a6f621203617069" ..
      "121009000000000000f03f1080d095ffbc31", tide.hex(bytes_of(response)))
    C.buf_destroy(result)
  end)

  it("in frames is the document's frame", function()
    local out = ffi.new("struct buf")
    C.remote_read_put_frames(out, labels, columns, 0, 1048576)
    assert.equal("421cb24c540a400a0e0a085f5f6e616d655f5f120275700a0a0a036a6f62120361706912220880" ..
      "d095ffbc311080d095ffbc3118012210000180a0abfef9623ff0000000000000", tide.hex(bytes_of(out)))
  end)

  it("begins a new frame when one is full, and repeats the labels", function()
    local many, out = ffi.new("struct columns"), ffi.new("struct buf")
    for i = 1, 1000 do C.columns_append(many, i * 1000, math.sin(i)) end
    C.remote_read_put_frames(out, labels, many, 3, 2000)
    local bytes, frames, chunks, at = bytes_of(out), 0, 0, 1
    while at <= #bytes do
      local low, high = bytes:byte(at, at + 1)
      local len = low < 128 and low or low % 128 + high * 128
      at = at + (low < 128 and 1 or 2)
      local payload = bytes:sub(at + 4, at + 3 + len)
      assert.equal(("%08x"):format(C.crc32c(0, payload, len)), tide.hex(bytes:sub(at, at + 3)))
      assert.is_not_nil(payload:find("__name__", 1, true))
      assert.equal("\16\3", payload:sub(-2))
      chunks = chunks + select(2, payload:gsub("\24\1\34", ""))
      frames, at = frames + 1, at + 4 + len
    end
    assert.is_true(frames >= 3)
    assert.equal(9, chunks)
    C.columns_destroy(many)
  end)
end)

describe("a remote read asker", function()
  local FRAME = tide.unhex("421cb24c540a400a0e0a085f5f6e616d655f5f120275700a0a0a036a6f6212036170" ..
    "6912220880d095ffbc311080d095ffbc3118012210000180a0abfef9623ff0000000000000")
  local SAMPLES = tide.unhex("0a300a2e0a0e0a085f5f6e616d655f5f120275700a0a0a036a6f621203617069" ..
    "121009000000000000f03f1080d095ffbc31")

  -- What an answer in pieces of `size` bytes holds; nil and why not.
  local function read(bytes, size, whole)
    local found, err = {}, tide.error()
    local answer = ffi.new("struct remote_read_answer")
    answer.take = function(_, labels, samples)
      local text = ffi.new("struct buf")
      C.labels_format_set(text, labels)
      text = bytes_of(text)
      for i = 0, tonumber(samples.len) - 1 do
        found[#found + 1] = { text, tonumber(samples.times_ms[i]), samples.values[i] }
      end
      return 0
    end
    local failed = 0
    if whole then
      failed = C.remote_read_answer_samples(answer, bytes, #bytes, err)
    else
      for at = 1, #bytes, size do
        local piece = bytes:sub(at, at + size - 1)
        failed = C.remote_read_answer_feed(answer, piece, #piece, err)
        if failed ~= 0 then break end
      end
      if failed == 0 then failed = C.remote_read_answer_end(answer, err) end
    end
    answer.take:free()
    local histograms = tonumber(answer.histograms)
    C.remote_read_answer_destroy(answer)
    if failed ~= 0 then return nil, tide.text(err) end
    return found, histograms
  end

  jit.off(read, true) -- it is called back

  local UP = { '{__name__="up", job="api"}', 1700000000000, 1 }

  it("asks as the document's request does", function()
    local matcher, request = ffi.new("struct matcher[1]"), ffi.new("struct buf")
    assert.equal(0, C.matcher_init(matcher, C.MATCH_REGEX, "job", 3, "a.*", 3, nil, tide.error()))
    C.remote_read_put_query(request, 1699999700000, 1700000000000, matcher, 1)
    C.remote_read_put_accepted(request)
    C.matcher_destroy(matcher)
    assert.same({ { 1699999700000, 1700000000000, { 2, "job", "a.*" } }, streamed = true },
      decode(bytes_of(request)))
  end)

  it("reads frames in pieces of any size (the document's frame)", function()
    for _, size in ipairs { 1, 2, 5, 66, 67, 1000 } do
      assert.same({ UP, UP }, (read(FRAME .. FRAME, size)))
    end
  end)

  it("reads samples in one message (the document's)", function()
    assert.same({ UP }, (read(SAMPLES, 0, true)))
    assert.same({ UP, UP }, (read(SAMPLES .. SAMPLES, 0, true)))
  end)

  it("counts histograms", function()
    -- Of type 2, which is HISTOGRAM; the checksum is made for it.
    local payload = FRAME:sub(6):gsub("\24\1", "\24\2")
    local sum = tide.unhex(("%08x"):format(C.crc32c(0, payload, #payload)))
    local found, histograms = read("\66" .. sum .. payload, 1000)
    assert.same({ 0, 1 }, { #found, histograms })
  end)

  it("says what is broken", function()
    assert.equal("the remote read answer ends within a frame",
      select(2, read(FRAME:sub(1, -2), 1000)))
    assert.equal("a frame of the remote read answer has another checksum",
      select(2, read(FRAME:sub(1, -2) .. "\1", 1000)))
    assert.truthy(select(2, read("\255\255\255\127", 1000)):find("more than 50000000 bytes"))
    assert.truthy(select(2, read(("\255"):rep(20), 7)):find("more than 50000000 bytes"))
    assert.equal("not a remote read answer: broken protobuf",
      select(2, read(SAMPLES:sub(1, -2), 0, true)))
  end)
end)

-- Reads a chunk back, bit by bit, by the description in the protocol document.
local function read_chunk(bytes)
  local at, bit_at = 3, 0
  local count = bytes:byte(1) * 256 + bytes:byte(2)
  local function uvarint()
    local value, scale = 0ULL, 1ULL
    repeat
      local byte = bytes:byte(at)
      value, scale, at = value + (byte % 128) * scale, scale * 128, at + 1
    until byte < 128
    return value
  end
  local function bits(n)
    local value = 0ULL
    for _ = 1, n do
      local byte = bytes:byte(at)
      value = value * 2 + math.floor(byte / 2 ^ (7 - bit_at)) % 2
      bit_at = bit_at + 1
      if bit_at == 8 then at, bit_at = at + 1, 0 end
    end
    return value
  end
  local bit = require "bit"
  local first = uvarint()
  local time = ffi.cast("int64_t", first / 2)
  if first % 2 == 1 then time = -time - 1 end
  local value = 0ULL
  for _ = 1, 8 do value, at = value * 256 + bytes:byte(at), at + 1 end
  local out = { { tonumber(time), bit.tohex(value) } }
  local distance, leading, trailing = 0LL, 0, 0
  for i = 2, count do
    if i == 2 then
      distance = ffi.cast("int64_t", uvarint())
    else
      local width, change = 0, 0LL
      for _, w in ipairs { 14, 17, 20, 64 } do
        if w == 14 and bits(1) == 0 then break end
        if w == 64 or bits(1) == 0 then width = w break end
      end
      if width > 0 then
        change = ffi.cast("int64_t", bits(width))
        if width < 64 and change > 2LL ^ (width - 1) then change = change - 2LL ^ width end
      end
      distance = distance + change
    end
    time = time + distance
    if bits(1) == 1 then
      if bits(1) == 1 then
        leading = tonumber(bits(5))
        local significant = tonumber(bits(6))
        if significant == 0 then significant = 64 end
        trailing = 64 - leading - significant
      end
      value = bit.bxor(value, bit.lshift(bits(64 - leading - trailing), trailing))
    end
    out[i] = { tonumber(time), bit.tohex(value) }
  end
  return out
end

describe("an XOR chunk", function()
  local function round_trip(samples)
    local times, values = ffi.new("int64_t[?]", #samples), ffi.new("double[?]", #samples)
    local expected, out = {}, ffi.new("struct buf")
    for i, sample in ipairs(samples) do
      times[i - 1] = sample[1]
      local hex = type(sample[2]) == "string" and sample[2] or tide.bits(sample[2])
      ffi.cast("uint64_t *", values)[i - 1] = tide.hex64(hex)
      expected[i] = { sample[1], hex }
    end
    C.xor_chunk_put(out, times, values, #samples)
    local bytes = bytes_of(out)
    assert.same(expected, read_chunk(bytes))
    local read, err = ffi.new("struct columns"), tide.error()
    assert.equal(0, C.xor_chunk_get(bytes, #bytes, read, err), tide.text(err))
    for i = 0, tonumber(read.len) - 1 do
      local bits = ffi.cast("uint64_t *", read.values)[i]
      assert.same(expected[i + 1], { tonumber(read.times_ms[i]), require("bit").tohex(bits) })
    end
    assert.equal(#samples, tonumber(read.len))
    for len = 0, #bytes - 1 do
      read.len = 0
      assert.equal(-1, C.xor_chunk_get(bytes:sub(1, len), len, read, err))
    end
    C.columns_destroy(read)
  end

  it("keeps values of all kinds, bit for bit", function()
    round_trip { { -5, 1 }, { 10, 1 }, { 20, 0 }, { 30, -0.1 }, { 40, 1e300 }, { 50, 1 / 0 },
      { 60, "7ff0000000000002" }, { 70, "0000000000000001" }, { 80, "8000000000000000" },
      { 90, "ffffffffffffffff" }, { 100, 123.456 }, { 110, 123.457 } }
  end)

  it("keeps times at the edges of each width", function()
    local samples, time, distance = { { 0, 1 }, { 1e9, 2 } }, 1e9, 1e9
    for _, change in ipairs { 1, -8191, 8192, -8192, 8193, -65535, 65536, -65536, 65537, -524287,
      524288, -524288, 524289, 1e8, 0 } do
      distance = distance + change
      time = time + distance
      samples[#samples + 1] = { time, change }
    end
    round_trip(samples)
  end)

  it("keeps a long walk", function()
    local samples, value = {}, 0
    math.randomseed(7)
    for i = 1, 500 do
      value = value + math.random(-100, 100) / 7
      samples[i] = { i * 15000 + math.random(-20, 20), value }
    end
    round_trip(samples)
  end)
end)
