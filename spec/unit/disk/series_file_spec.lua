-- Series files: records, appends at an expected size, drops by the vectors of the original.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local disk = require "spec.support.disk"
local C = tide.load("disk/series_file.h", "disk/volume_fault.h")
local must, try = disk.must, disk.try

local CONFLICT, CORRUPT, IO = 4, 5, 6
local EIO, ENOSPC = 5, 28
local ANY = 0xffffffffffffffffULL
local RECORD = 1041

-- A pool of chunks as C values and as records; the payloads must outlive them.
local function pool_of(chunks)
  local pool = {}
  for i, chunk in ipairs(chunks) do
    local payload = tide.unhex(chunk.hex)
    payload = payload .. ("\0"):rep(1024 - #payload)
    local times = ffi.new("int64_t[2]", disk.int64(chunk.first_time), disk.int64(chunk.last_time))
    pool[i - 1] = {
      payload = ffi.new("uint8_t[1024]", payload),
      first = times[0], last = times[1], encoding = chunk.encoding,
      record = string.char(chunk.encoding) .. ffi.string(times, 16) .. payload,
    }
  end
  return pool
end

local function c_chunks(pool, numbers)
  local list = ffi.new("struct series_chunk[?]", #numbers + 1)
  for i, number in ipairs(numbers) do
    local chunk = pool[number]
    list[i - 1] = { chunk.first, chunk.last, chunk.payload, chunk.encoding }
  end
  return list
end

local function file_of(pool, numbers)
  local records = {}
  for i, number in ipairs(numbers) do records[i] = pool[number].record end
  return table.concat(records)
end

-- Simple chunks 0 .. n - 1 of ten seconds each.
local function plain_pool(n)
  local list = {}
  for i = 0, n - 1 do
    list[i + 1] = { encoding = i % 3, first_time = i * 10000, last_time = i * 10000 + 9000,
      hex = ("%04x"):format(i):rep(4) }
  end
  return pool_of(list)
end

local function range(from, to)
  local list = {}
  for i = from, to do list[#list + 1] = i end
  return list
end

local FP, NAME = 0x94130327cc8add45ULL, "94/130327cc8add45.db"

describe("series file", function()
  after_each(disk.cleanup)

  it("is named by its fingerprint, and only lower-case names are read back", function()
    local name, fp = ffi.new("char[21]"), ffi.new("uint64_t[1]")
    C.series_file_name(name, FP)
    assert.equal(NAME, ffi.string(name))
    C.series_file_name(name, 1)
    assert.equal("00/00000000000001.db", ffi.string(name))
    assert.is_true(C.series_file_parse("94", "130327cc8add45.db", fp))
    assert.is_true(fp[0] == FP)
    for _, wrong in ipairs { { "94", "130327CC8add45.db" }, { "94", "130327cc8add45.db.tmp" },
      { "94", "130327cc8add4.db" }, { "9", "130327cc8add45.db" }, { "94", "130327cc8add4g.db" },
      { "94", "130327cc8add45.dx" }, { "9A", "130327cc8add45.db" } } do
      assert.is_false(C.series_file_parse(wrong[1], wrong[2], fp))
    end
  end)

  it("holds what was appended, in records of 1041 bytes with the modes of the format", function()
    local volume, path = disk.volume()
    local pool = plain_pool(150)
    local stat = ffi.new("struct series_file_stat")
    must(C.series_file_append, volume, FP, 0, c_chunks(pool, range(0, 99)), 100, true, stat)
    assert.equal(100, tonumber(stat.chunks))
    must(C.series_file_append, volume, FP, ANY, c_chunks(pool, range(100, 149)), 50, false, stat)
    assert.equal(150, tonumber(stat.chunks))
    assert.equal(file_of(pool, range(0, 149)), disk.read(path .. "/" .. NAME))
    assert.equal("-rw-r-----", disk.mode(path .. "/" .. NAME))
    assert.equal("drwx------", disk.mode(path .. "/94"))
    local again = ffi.new("struct series_file_stat")
    must(C.series_file_stat, volume, FP, again)
    assert.is_true(again.mtime_ns == stat.mtime_ns)
    assert.equal(0, again.rest_bytes)
  end)

  it("refuses an append at another size, and writes nothing", function()
    local volume, path = disk.volume()
    local pool = plain_pool(3)
    local stat = ffi.new("struct series_file_stat")
    must(C.series_file_append, volume, FP, 0, c_chunks(pool, { 0, 1 }), 2, false, stat)
    for _, expected in ipairs { 0, 1, 3 } do
      local ok, _, code = try(C.series_file_append, volume, FP, expected, c_chunks(pool, { 2 }), 1,
        false, stat)
      assert.is_nil(ok)
      assert.equal(CONFLICT, code)
    end
    assert.equal(CONFLICT, select(3, try(C.series_file_append, volume, 77, 1,
      c_chunks(pool, { 2 }), 1, false, stat)))
    assert.is_nil(disk.read(path .. "/00/0000000000004d.db"))
    assert.equal(file_of(pool, { 0, 1 }), disk.read(path .. "/" .. NAME))
    disk.write(path .. "/" .. NAME, file_of(pool, { 0 }) .. "x")
    assert.equal(CORRUPT, select(3, try(C.series_file_append, volume, FP, ANY,
      c_chunks(pool, { 2 }), 1, false, stat)))
  end)

  it("gives records and headers back, and says when they are not there", function()
    local volume = disk.volume()
    local pool = plain_pool(300)
    must(C.series_file_append, volume, FP, 0, c_chunks(pool, range(0, 299)), 300, false, nil)
    local records = ffi.new("uint8_t[?]", 62 * RECORD)
    must(C.series_file_read, volume, FP, 200, 62, records)
    assert.equal(file_of(pool, range(200, 261)), ffi.string(records, 62 * RECORD))
    assert.equal(CONFLICT, select(3, try(C.series_file_read, volume, FP, 290, 11, records)))
    assert.equal(3, select(3, try(C.series_file_read, volume, 5, 0, 1, records)))

    local list, count = ffi.new("struct series_record *[1]"), ffi.new("size_t[1]")
    must(C.series_file_load, volume, FP, 3, ANY, list, count)
    assert.equal(297, tonumber(count[0]))
    for i = 0, 296 do
      assert.is_true(list[0][i].first_ms == pool[i + 3].first)
      assert.is_true(list[0][i].last_ms == pool[i + 3].last)
      assert.equal(pool[i + 3].encoding, list[0][i].encoding)
    end
    C.mem_free(list[0])
    must(C.series_file_load, volume, FP, 10, 12, list, count)
    assert.equal(2, tonumber(count[0]))
    assert.is_true(list[0][0].first_ms == pool[10].first)
    C.mem_free(list[0])
  end)

  it("copies a file that a snapshot shares before it grows", function()
    local volume, path = disk.volume()
    local pool = plain_pool(3)
    must(C.series_file_append, volume, FP, 0, c_chunks(pool, { 0, 1 }), 2, false, nil)
    must(volume.share, volume, NAME, "snapshots/1/" .. NAME)
    must(C.series_file_append, volume, FP, 2, c_chunks(pool, { 2 }), 1, false, nil)
    assert.equal(file_of(pool, { 0, 1 }), disk.read(path .. "/snapshots/1/" .. NAME))
    assert.equal(file_of(pool, { 0, 1, 2 }), disk.read(path .. "/" .. NAME))
    assert.is_nil(disk.read(path .. "/" .. NAME .. ".tmp"))
  end)
end)

describe("series_file_drop", function()
  local vectors = tide.vectors("vectors/drop.json")
  local pool = pool_of(vectors.chunks)
  after_each(disk.cleanup)

  local function drop(volume, case)
    local result = ffi.new("struct series_drop")
    local ok, text, code = try(C.series_file_drop, volume, FP, ANY, disk.int64(case.before),
      case.ratio, c_chunks(pool, case.new), #case.new, false, result)
    return ok, result, text, code
  end

  local function prepare(case, path)
    if type(case.file) == "table" then
      disk.write(path .. "/" .. NAME, file_of(pool, case.file))
    end
  end

  it("has all 89 vectors", function() assert.equal(89, #vectors.drop) end)

  for i, case in ipairs(vectors.drop) do
    it(("does as the original: %d %s (%s)"):format(i, case.name, case.pins), function()
      local volume, path = disk.volume()
      prepare(case, path)
      local ok, result, text = drop(volume, case)
      assert.equal(case.error, ok == nil, text)
      if ok then
        assert.equal(case.first_time_not_dropped, tonumber(result.first_ms))
        assert.equal(case.offset, tonumber(result.offset))
        assert.equal(case.dropped, tonumber(result.dropped))
        assert.equal(case.all_dropped, result.all_dropped)
      end
      local after = disk.read(path .. "/" .. NAME)
      if type(case.file_after) == "table" then
        assert.equal(file_of(pool, case.file_after), after)
        if ok then assert.equal(#case.file_after, tonumber(result.stat.chunks)) end
      else
        assert.is_nil(after)
      end
      assert.is_nil(disk.read(path .. "/" .. NAME .. ".tmp"))
    end)
  end

  it("truncates what a failed rewrite left behind", function()
    local volume, path = disk.volume()
    disk.write(path .. "/" .. NAME, file_of(pool, range(0, 9)))
    disk.write(path .. "/" .. NAME .. ".tmp", ("garbage"):rep(5000))
    local ok, result = drop(volume, { before = "5000", ratio = 0, new = {} })
    assert.is_true(ok)
    assert.equal(5, tonumber(result.dropped))
    assert.equal(file_of(pool, range(5, 9)), disk.read(path .. "/" .. NAME))
  end)

  it("shares one sync among many rewrites: nothing has its name before publish", function()
    local volume, path = disk.volume()
    local plan, err = ffi.new("struct series_drop"), tide.error()
    disk.write(path .. "/" .. NAME, file_of(pool, range(0, 9)))
    local new = c_chunks(pool, { 10 })
    assert.equal(0, C.series_file_drop_plan(volume, FP, 10, 5000, 0, new, 1, plan, err))
    assert.equal(0, C.series_file_drop_write(volume, plan, new, false, err))
    assert.equal(file_of(pool, range(0, 9)), disk.read(path .. "/" .. NAME))
    must(volume.sync_all, volume)
    assert.equal(0, C.series_file_drop_publish(volume, plan, true, err))
    assert.equal(file_of(pool, range(5, 10)), disk.read(path .. "/" .. NAME))
  end)
end)

-- Every operation fails once, in turn: the file is old or new, never something between.
describe("a series file on a failing volume", function()
  local pool = plain_pool(200)
  after_each(disk.cleanup)

  local function each_failure(kinds, errno, style, before, act, check)
    local failures = 0
    for after = 0, 1000 do
      local inner, path = disk.volume()
      disk.write(path .. "/" .. NAME, before)
      local volume = C.volume_fault_new(inner)
      C.volume_fault_arm(volume, kinds, after, 1, errno, style)
      local ok, text, code, sys_errno = act(volume)
      local failed = tonumber(C.volume_fault_failed(volume)) > 0
      volume.close(volume)
      if failed then
        failures = failures + 1
        assert.is_nil(ok)
        assert.equal(IO, code)
        assert.equal(errno, sys_errno, text)
      end
      check(disk.read(path .. "/" .. NAME), ok)
      assert.is_nil(disk.read(path .. "/" .. NAME .. ".tmp"))
      disk.cleanup()
      if not failed then
        assert.is_true(ok)
        return failures
      end
    end
  end

  it("keeps its size when an append of three batches fails anywhere", function()
    local before, after = file_of(pool, range(0, 9)), file_of(pool, range(0, 159))
    local new = c_chunks(pool, range(10, 159))
    local failures = each_failure(C.FAULT_WRITE + C.FAULT_SYNC, ENOSPC, C.FAULT_CLEAN, before,
      function(volume) return try(C.series_file_append, volume, FP, 10, new, 150, true, nil) end,
      function(bytes, ok) assert.equal(ok and after or before, bytes) end)
    assert.equal(4, failures)
  end)

  it("is the old one or the new one when a rewrite fails anywhere", function()
    local before, after = file_of(pool, range(0, 99)), file_of(pool, range(50, 109))
    local new = c_chunks(pool, range(100, 109))
    local failures = each_failure(C.FAULT_ANY, EIO, C.FAULT_CLEAN, before,
      function(volume)
        local result = ffi.new("struct series_drop")
        return try(C.series_file_drop, volume, FP, 100, 500000, 0.1, new, 10, true, result)
      end,
      function(bytes, ok)
        if ok then assert.equal(after, bytes) end
        assert.is_true(bytes == before or bytes == after)
      end)
    assert.is_true(failures >= 7, failures)
  end)

  it("is cut back when the disk really is full", function()
    ffi.cdef [[
      struct rlimit_pair { unsigned long now, max; };
      int setrlimit(int resource, const struct rlimit_pair *limit);
      int getrlimit(int resource, struct rlimit_pair *limit);
      void (*signal(int number, void (*handler)(int)))(int);
    ]]
    local volume, path = disk.volume()
    local before = file_of(pool, range(0, 9))
    disk.write(path .. "/" .. NAME, before)
    local limit = ffi.new("struct rlimit_pair")
    ffi.C.signal(25, ffi.cast("void (*)(int)", 1)) -- SIGXFSZ, ignored: writes get EFBIG
    assert.equal(0, ffi.C.getrlimit(1, limit))
    local was = limit.now
    limit.now = 15 * RECORD + 100
    assert.equal(0, ffi.C.setrlimit(1, limit))
    local stat = ffi.new("struct series_file_stat")
    local err = tide.error()
    local status = C.series_file_append(volume, FP, 10, c_chunks(pool, range(10, 19)), 10, false,
      stat, err)
    limit.now = was
    assert.equal(0, ffi.C.setrlimit(1, limit))
    assert.equal(-1, status)
    assert.is_true(C.volume_error_is_full(err))
    assert.equal(10, tonumber(stat.chunks))
    assert.equal(before, disk.read(path .. "/" .. NAME))
    must(C.series_file_append, volume, FP, 10, c_chunks(pool, range(10, 19)), 10, false, nil)
    assert.equal(file_of(pool, range(0, 19)), disk.read(path .. "/" .. NAME))
  end)
end)
