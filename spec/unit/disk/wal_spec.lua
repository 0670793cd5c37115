-- The log's files: what was acknowledged is read back, whatever happens to the disk meanwhile.
local ffi = require "ffi"
local process = require "spec.support.process"
local tide = require "spec.support.tide"
local C = tide.load("disk/wal.h", "disk/volume.h", "disk/volume_fault.h")

local ANY_SEGMENT = 0xffffffffffffffffULL
local EIO, ENOSPC = 5, 28

describe("the log", function()
  local folder, posix, volume

  before_each(function()
    folder = process.folder()
    posix = C.volume_posix_open(folder, true, tide.error())
    volume = C.volume_fault_new(posix)
  end)

  after_each(function()
    volume.close(volume)
    posix.close(posix)
    process.remove(folder)
  end)

  local function open(sync, options)
    local settings = ffi.new("struct wal_options", { volume = volume, sync = sync, store_id = 7,
      first_segment = 1, first_record = 1 })
    for name, value in pairs(options or {}) do settings[name] = value end
    local err = tide.error()
    local wal = C.wal_open(settings, err)
    return wal ~= nil and wal or nil, tide.text(err)
  end

  local position = ffi.new("wal_position[1]")
  local function append(wal, body, segment)
    local err = tide.error()
    local status = C.wal_append(wal, segment or ANY_SEGMENT, C.WAL_BATCH, body, #body,
      C.wal_body_crc(body, #body), position, err)
    return status, position[0], tide.text(err)
  end

  local function segment_of(wal)
    local segment = ffi.new("uint64_t[1]")
    assert.equal(0, C.wal_begin(wal, segment, tide.error()))
    return segment[0]
  end

  -- Bodies of all sound records, and the report.
  local function replay(from)
    local bodies, lost = {}, {}
    local reader = ffi.new("struct wal_reader")
    reader.record = function(_, _, frame)
      bodies[#bodies + 1] = ffi.string(frame.body, frame.body_len)
      return 0
    end
    reader.lost = function(_, _, after, before)
      lost[#lost + 1] = { tonumber(after), tonumber(before) }
    end
    local report, err = ffi.new("struct wal_replay_report"), tide.error()
    local status = C.wal_replay(volume, from or 0, reader, report, err)
    reader.record:free()
    reader.lost:free()
    assert.equal(0, status, tide.text(err))
    return bodies, report, lost
  end

  local function close(wal)
    local err = tide.error()
    return C.wal_close(wal, err), tide.text(err)
  end

  local function segment_path(number) return ("%s/wal/%016x.wal"):format(folder, number) end

  for _, sync in ipairs { "WAL_SYNC_NEVER", "WAL_SYNC_INTERVAL", "WAL_SYNC_ALWAYS" } do
    it("gives back what was appended, in order: " .. sync, function()
      local wal = open(C[sync])
      local expected, last = {}, nil
      for i = 1, 1000 do
        expected[i] = ("record %d "):format(i):rep(i % 7 + 1)
        local status, at = append(wal, expected[i])
        assert.equal(0, status)
        last = at
      end
      assert.equal(0, C.wal_wait(wal, last, 10000, tide.error()))
      assert.is_true(C.wal_durable(wal) >= last)
      assert.same(expected, (replay())) -- while it is open: all that was promised is there
      assert.equal(0, close(wal))
      local bodies, report = replay()
      assert.same(expected, bodies)
      assert.equal(1001, tonumber(report.next_record))
      assert.equal(2, tonumber(report.next_segment))
      assert.equal(7, tonumber(report.store_id))
      assert.equal(0, tonumber(report.torn_bytes))
    end)
  end

  it("rolls segments by length and on demand, and tells who encoded for the old one", function()
    local wal = open(C.WAL_SYNC_NEVER, { segment_bytes = 1000 })
    local expected = {}
    for i = 1, 100 do
      expected[i] = ("%03d"):format(i):rep(20)
      assert.equal(0, (append(wal, expected[i])))
    end
    local segment = segment_of(wal)
    assert.is_true(segment > 5)
    local rolled = C.wal_roll(wal)
    assert.is_true(rolled >= segment)
    assert.equal(1, (append(wal, "for the old one", rolled - 1)))
    assert.equal(0, (append(wal, "last", rolled)))
    expected[101] = "last"
    assert.equal(0, close(wal))
    assert.same(expected, (replay()))
    assert.same({ "last" }, (replay(tonumber(rolled))))
    assert.equal(0, C.wal_remove_all(volume, tide.error()))
    assert.same({}, (replay()))
  end)

  it("cuts a torn tail at every length of it", function()
    local wal = open(C.WAL_SYNC_NEVER)
    append(wal, "first")
    append(wal, "second, which will be torn")
    assert.equal(0, close(wal))
    local file = assert(io.open(segment_path(1), "rb"))
    local bytes = file:read("*a")
    file:close()
    local second = 80 + 32
    for cut = second, #bytes - 1 do
      file = assert(io.open(segment_path(1), "wb"))
      file:write(bytes:sub(1, cut))
      file:close()
      local bodies, report = replay()
      assert.same({ "first" }, bodies)
      assert.equal(cut - second, tonumber(report.torn_bytes))
      assert.equal(2, tonumber(report.next_record))
    end
  end)

  it("skips damage in the middle and says how many records it cost", function()
    local wal = open(C.WAL_SYNC_NEVER)
    for i = 1, 9 do append(wal, ("body %d"):format(i)) end
    assert.equal(0, close(wal))
    local file = assert(io.open(segment_path(1), "r+b"))
    file:seek("set", 80 + 32 * 3 + 25) -- in the body of record 4
    file:write("X")
    file:seek("set", 80 + 32 * 6) -- the marker of record 7
    file:write("XXXX")
    file:close()
    local bodies, report, lost = replay()
    assert.same({ "body 1", "body 2", "body 3", "body 5", "body 6", "body 8", "body 9" }, bodies)
    assert.equal(2, tonumber(report.records_lost))
    assert.same({ { 3, 5 }, { 6, 8 } }, lost)
    assert.equal(0, tonumber(report.torn_bytes))
  end)

  it("keeps what cannot be written until it can, torn writes and full disks too", function()
    for _, style in ipairs { C.FAULT_CLEAN, C.FAULT_TORN } do
      local number = tonumber(style) + 1
      local wal = open(C.WAL_SYNC_ALWAYS, { first_segment = 10 * number, first_record = number })
      C.volume_fault_arm(volume, C.FAULT_WRITE, 0, 3, ENOSPC, style)
      local _, at = append(wal, "patience")
      assert.equal(0, C.wal_wait(wal, at, 20000, tide.error()))
      assert.equal(3, tonumber(C.volume_fault_failed(volume)))
      C.volume_fault_disarm(volume)
      assert.equal(0, close(wal))
    end
    assert.same({ "patience", "patience" }, (replay()))
  end)

  it("promises nothing any more after a failed sync", function()
    local wal = open(C.WAL_SYNC_ALWAYS)
    local _, first = append(wal, "safe")
    assert.equal(0, C.wal_wait(wal, first, 10000, tide.error()))
    C.volume_fault_arm(volume, C.FAULT_SYNC, 0, 1, EIO, C.FAULT_CLEAN)
    local _, second = append(wal, "not safe")
    local err = tide.error()
    assert.equal(-1, C.wal_wait(wal, second, 10000, err))
    assert.matches("the log failed", tide.text(err))
    assert.is_true(C.wal_durable(wal) < second)
    assert.equal(-1, (append(wal, "refused")))
    assert.equal(-1, (close(wal)))
    assert.equal("safe", replay()[1])
  end)

  it("cannot be opened where nothing can be written", function()
    C.volume_fault_arm(volume, C.FAULT_WRITE, 0, 1, EIO, C.FAULT_CLEAN)
    local wal, text = open(C.WAL_SYNC_NEVER)
    assert.is_nil(wal)
    assert.matches("the log cannot be begun", text)
  end)
end)
