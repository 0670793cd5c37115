-- heads.db: the vectors of the original, writing, and what damage costs.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local disk = require "spec.support.disk"
local C = tide.load("disk/heads.h", "disk/volume_fault.h", "chunk/chunk.h", "model/fingerprint.h")
local must = disk.must
jit.off(true, true)

-- Reads bytes as heads.db: { ok, text, code, result, series = { ... } }.
local function read_file(volume, mode, name)
  local read = { series = {} }
  local visitor = ffi.new("struct heads_visitor")
  visitor.series = function(_, s)
    local chunks = {}
    for i = 0, tonumber(s.count) - 1 do
      local c = s.chunks[i]
      chunks[i + 1] = { first = c.first_ms, last = c.last_ms, encoding = c.encoding,
        payload = c.payload ~= nil and ffi.string(c.payload, 1024) or nil }
    end
    read.series[#read.series + 1] = { fp = disk.hex64(s.fp), labels = disk.label_list(s.labels),
      watermark = s.watermark, offset = s.offset, mtime = s.mtime_ns, first = s.saved_first_ms,
      chunks = chunks }
    return 0
  end
  read.result = ffi.new("struct heads_result")
  local err = tide.error()
  read.ok = C.heads_read(volume, name or "heads.db", mode, visitor, read.result, err) == 0
  read.text, read.code = tide.text(err), tonumber(err.code)
  visitor.series:free()
  return read
end

local function read_bytes(bytes, mode)
  local volume, path = disk.volume()
  disk.write(path .. "/heads.db", bytes)
  return read_file(volume, mode)
end

local function samples_of(chunk)
  local summary = ffi.new("struct chunk_summary")
  must(C.chunk_check, chunk.encoding, chunk.payload, 1024, summary)
  return tonumber(summary.samples)
end

local vectors = tide.vectors("vectors/heads.json").cases

describe("heads_read", function()
  after_each(disk.cleanup)

  it("has all 17 vectors", function() assert.equal(17, #vectors) end)

  for _, case in ipairs(vectors) do
    it("reads as the original: " .. case.name, function()
      local read = read_bytes(tide.unhex(case.hex), C.HEADS_STRICT)
      -- "v1" and the like hold what the original crashes on: for us that is damage.
      assert.equal(case.error == "", read.ok, read.text)
      if not read.ok then assert.equal(C.ERR_CORRUPT, read.code) end
      if case.error == "" then
        assert.equal(case.version, tonumber(read.result.version))
        assert.equal(case.chunks_to_persist, tonumber(read.result.chunks_to_persist))
      end
      if read.ok or read.result.version ~= 0 then
        assert.equal(case.series_total, tonumber(read.result.series_total))
      end
      local wanted = case.series
      if case.name == "zero-descs" then wanted = {} end
      assert.equal(#wanted, #read.series)
      -- The vectors list series in their own order.
      local by_fp = {}
      for _, got in ipairs(read.series) do by_fp[got.fp] = got end
      for _, want in ipairs(wanted) do
        local got = by_fp[want.fingerprint]
        table.sort(want.labels, function(a, b) return a[1] < b[1] end)
        assert.same(want.labels, got.labels)
        assert.equal(tonumber(want.persist_watermark), tonumber(got.watermark))
        assert.is_true(disk.int64(tostring(want.mod_time_ns)) == got.mtime)
        assert.equal(tonumber(want.chunk_descs_offset), tonumber(got.offset))
        assert.equal(#want.chunk_descs, #got.chunks)
        if got.offset ~= 0 then
          assert.is_true(disk.int64(tostring(want.saved_first_time)) == got.first)
        end
        for j, chunk in ipairs(want.chunk_descs) do
          assert.is_true(disk.int64(tostring(chunk.first_time)) == got.chunks[j].first)
          assert.equal(chunk.encoding, got.chunks[j].encoding)
          if chunk.encoding >= 0 then
            assert.equal(chunk.samples, samples_of(got.chunks[j]))
          end
        end
        local last = got.chunks[#got.chunks]
        assert.is_true(disk.int64(tostring(want.last_time)) == last.last)
        assert.equal(want.head_chunk_closed, #got.chunks <= tonumber(got.watermark))
      end
    end)
  end

  it("says NOT_FOUND for a file that is missing", function()
    local volume = disk.volume()
    assert.equal(C.ERR_NOT_FOUND, tonumber(read_file(volume, C.HEADS_STRICT).code))
  end)

  it("refuses every cut of a real file, and crashes at none", function()
    local bytes = tide.unhex(vectors[1].hex)
    for cut = 0, #bytes - 1, 7 do
      local read = read_bytes(bytes:sub(1, cut), C.HEADS_STRICT)
      assert.is_false(read.ok)
      disk.cleanup()
    end
  end)
end)

-- Payloads of real chunks, by number.
local chunk_pool = {}
for _, chunk in ipairs(tide.vectors("vectors/drop.json").chunks) do
  local payload = tide.unhex(chunk.hex)
  chunk_pool[#chunk_pool + 1] = { payload = payload .. ("\0"):rep(1024 - #payload),
    encoding = chunk.encoding, first = chunk.first_time, last = chunk.last_time }
end

-- n series with `chunks` chunks each, as records in one string, and their list.
local function records_of(n, chunks)
  local out, list = ffi.new("struct buf"), {}
  for i = 1, n do
    local labels = disk.labels { { "__name__", "metric_" .. i }, { "job", "spec" } }
    local array, payloads = ffi.new("struct heads_chunk[?]", chunks), {}
    for j = 1, chunks do
      local chunk = chunk_pool[j]
      payloads[j] = ffi.new("uint8_t[1024]", chunk.payload)
      array[j - 1] = { chunk.first, chunk.last, payloads[j], chunk.encoding }
    end
    local fp = C.fingerprint_of(labels)
    local series = ffi.new("struct heads_series", { fp, labels, 0, 5, 123456789LL,
      ffi.cast("int64_t", 0x8000000000000000ULL), array, chunks })
    local before = tonumber(out.len)
    C.heads_record_put(out, series)
    list[i] = { fp = disk.hex64(fp), from = before, to = tonumber(out.len) }
  end
  return disk.take(out), list
end

local function write_heads(volume, records, count, keep_old)
  local writer = must(C.heads_writer_begin, volume)
  must(C.heads_writer_add, writer, records, #records, count)
  must(C.heads_writer_finish, writer, true)
  local stat = ffi.new("struct volume_stat")
  must(C.heads_writer_publish, writer, keep_old, stat)
  return stat
end

describe("heads_writer", function()
  after_each(disk.cleanup)

  it("writes what the reader gives back, as version 2 with the mode of the format", function()
    local volume, path = disk.volume()
    local records, list = records_of(50, 3)
    local stat = write_heads(volume, records, 50, true)
    assert.equal(24 + #records, tonumber(stat.size))
    assert.equal("-rw-r-----", disk.mode(path .. "/heads.db"))
    assert.is_nil(disk.read(path .. "/heads.db.tmp"))
    assert.equal("PrometheusHeads\4\0\0\0\0\0\0\0\50", disk.read(path .. "/heads.db"):sub(1, 24))
    local read = read_file(volume, C.HEADS_STRICT)
    assert.is_true(read.ok, read.text)
    assert.equal(50, #read.series)
    assert.equal(100, tonumber(read.result.chunks_to_persist))
    for i, series in ipairs(read.series) do
      assert.equal(list[i].fp, series.fp)
      assert.equal(5, tonumber(series.offset))
      assert.is_true(series.mtime == 123456789LL)
      assert.is_true(series.first == ffi.cast("int64_t", 0x8000000000000000ULL))
      for j = 1, 3 do assert.equal(chunk_pool[j].payload, series.chunks[j].payload) end
    end
  end)

  it("writes again, byte for byte, what the original wrote", function()
    local bytes = tide.unhex(vectors[1].hex)
    local read = read_bytes(bytes, C.HEADS_STRICT)
    local out = ffi.new("struct buf")
    for _, series in ipairs(read.series) do
      local array, payloads = ffi.new("struct heads_chunk[?]", #series.chunks), {}
      for j, chunk in ipairs(series.chunks) do
        payloads[j] = chunk.payload and ffi.new("uint8_t[1024]", chunk.payload)
        array[j - 1] = { chunk.first, chunk.last, payloads[j], chunk.encoding }
      end
      C.heads_record_put(out, ffi.new("struct heads_series", { tide.hex64(series.fp),
        disk.labels(series.labels), series.watermark, series.offset, series.mtime, series.first,
        array, #series.chunks }))
    end
    -- The original writes labels in the order of a hash map, so only the length is the same.
    assert.equal(#bytes - 24, tonumber(out.len))
    local again = read_bytes(bytes:sub(1, 24) .. disk.take(out), C.HEADS_STRICT)
    assert.same(read.series, again.series)
  end)

  it("keeps the checkpoint before", function()
    local volume, path = disk.volume()
    local one, two = records_of(1, 1), records_of(2, 1)
    write_heads(volume, one, 1, true)
    assert.is_nil(disk.read(path .. "/heads.db.old"))
    write_heads(volume, two, 2, true)
    assert.equal(1, #read_file(volume, C.HEADS_STRICT, "heads.db.old").series)
    write_heads(volume, one, 1, true)
    assert.equal(2, #read_file(volume, C.HEADS_STRICT, "heads.db.old").series)
    assert.equal(1, #read_file(volume, C.HEADS_STRICT).series)
  end)

  it("leaves the old file when anything fails", function()
    local one, two = records_of(1, 1), records_of(400, 1)
    local failures = 0
    for after = 0, 100 do
      local inner = disk.volume()
      write_heads(inner, one, 1, false)
      local volume = C.volume_fault_new(inner)
      C.volume_fault_arm(volume, C.FAULT_ANY - C.FAULT_READ, after, 1, 28, C.FAULT_CLEAN)
      local err = tide.error()
      local writer = C.heads_writer_begin(volume, err)
      local ok = writer ~= nil
      if ok then
        ok = C.heads_writer_add(writer, two, #two, 400, err) == 0 and
          C.heads_writer_finish(writer, true, err) == 0
        if ok then
          ok = C.heads_writer_publish(writer, false, nil, err) == 0
        else
          C.heads_writer_discard(writer)
        end
      end
      local failed = tonumber(C.volume_fault_failed(volume)) > 0
      volume.close(volume)
      local read = read_file(inner, C.HEADS_STRICT)
      assert.is_true(read.ok)
      assert.is_true(#read.series == 400 or (failed and #read.series == 1))
      assert.equal(not failed, ok)
      disk.cleanup()
      if not failed then break end
      failures = failures + 1
    end
    assert.is_true(failures >= 5, failures)
  end)
end)

describe("heads_read after damage", function()
  after_each(disk.cleanup)
  local records, list = records_of(40, 2)
  local header = "PrometheusHeads\4" .. "\0\0\0\0\0\0\0\40"

  local function missing(read)
    local seen, lost = {}, {}
    for _, series in ipairs(read.series) do
      assert.is_nil(seen[series.fp])
      seen[series.fp] = true
    end
    for i, series in ipairs(list) do
      if not seen[series.fp] then lost[#lost + 1] = i end
      seen[series.fp] = nil
    end
    assert.is_nil(next(seen)) -- nothing that was never there
    return lost
  end

  it("finds no damage in a sound file", function()
    local read = read_bytes(header .. records, C.HEADS_SALVAGE)
    assert.is_true(read.ok)
    assert.equal(0, tonumber(read.result.damages))
    assert.same({}, missing(read))
  end)

  it("loses at most the series in which a byte is flipped", function()
    -- Every byte in front of the first payload of series 7, then some of the rest.
    local from, to = list[7].from, list[7].to
    local lost_some = 0
    for at = from, to - 1, 1 do
      if at - from < 60 or at % 41 == 0 then
        for _, flip in ipairs { 0x01, 0x80, 0xff } do
          local damaged = records:sub(1, at) ..
            string.char(bit.bxor(records:byte(at + 1), flip)) .. records:sub(at + 2)
          local read = read_bytes(header .. damaged, C.HEADS_SALVAGE)
          assert.is_true(read.ok, read.text)
          local lost = missing(read)
          assert.is_true(#lost <= 1, "lost " .. #lost .. " at " .. at)
          if #lost == 1 then
            assert.equal(7, lost[1])
            assert.is_true(tonumber(read.result.damages) >= 1)
            lost_some = lost_some + 1
          end
          disk.cleanup()
        end
      end
    end
    assert.is_true(lost_some > 60)
  end)

  it("loses only the chunk whose fixed fields are damaged", function()
    for _, number in ipairs { 7, 40 } do -- inside, and the very last
      for _, back in ipairs { 1025, 2050 } do -- the encoding byte of either chunk
        local at = list[number].to - back
        local read = read_bytes(header .. records:sub(1, at) .. "\x7f" .. records:sub(at + 2),
          C.HEADS_SALVAGE)
        assert.same({}, missing(read))
        assert.equal(1, tonumber(read.result.damages))
        assert.equal(1025, tonumber(read.result.bytes_lost))
        for i, series in ipairs(read.series) do
          assert.equal(i == number and 1 or 2, #series.chunks)
        end
        local kept = read.series[number].chunks[1].payload
        assert.equal(chunk_pool[back == 1025 and 1 or 2].payload, kept)
      end
    end
  end)

  it("loses one series when bytes are cut out of it or put into it", function()
    for _, change in ipairs { "", "xyz", ("\0"):rep(3000) } do
      local from = list[9].from
      local damaged = records:sub(1, from + 200) .. change .. records:sub(from + 300)
      local read = read_bytes(header .. damaged, C.HEADS_SALVAGE)
      assert.same({ 9 }, missing(read))
      assert.is_true(#tide.text({ text = read.result.problem.text }) > 0)
    end
  end)

  it("keeps all that is before a cut, and does not believe a wrong count", function()
    local cut = read_bytes(header .. records:sub(1, list[30].from + 100), C.HEADS_SALVAGE)
    assert.equal(29, #cut.series)
    assert.equal(1, tonumber(cut.result.damages))
    for _, count in ipairs { "\0\0\0\0\0\0\0\41", "\0\0\0\0\0\0\0\3", "\255\0\0\0\0\0\0\0" } do
      local read = read_bytes("PrometheusHeads\4" .. count .. records, C.HEADS_SALVAGE)
      assert.same({}, missing(read))
      assert.is_true(tonumber(read.result.damages) >= 1)
    end
  end)

  it("reads on behind a damaged header", function()
    for _, wrong in ipairs { "PrometheusHeadz\4", "PrometheusHeads\6", "\0\0\0\0" } do
      local read = read_bytes(wrong .. ("\0"):rep(8) .. records, C.HEADS_SALVAGE)
      assert.is_true(read.ok)
      assert.same({}, missing(read))
    end
    for _, nothing in ipairs { "", "PrometheusHead", ("x"):rep(1000) } do
      local read = read_bytes(nothing, C.HEADS_SALVAGE)
      assert.is_false(read.ok)
      assert.equal(C.ERR_CORRUPT, read.code)
    end
  end)

  it("searches through millions of bytes that look like labels in bounded time", function()
    -- Flags, fingerprint and a label count at every other byte.
    local bytes = header .. ("\0\2"):rep(1500000)
    local read = read_bytes(bytes, C.HEADS_SALVAGE)
    assert.equal(0, #read.series)
  end)
end)
