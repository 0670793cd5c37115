-- Chunks by FFI for the specs of this folder: feed samples, decode payloads, vectors as samples.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("chunk/chunk.h", "base/mem.h")

pcall(ffi.cdef, "unsigned char *SHA256(const unsigned char *, size_t, unsigned char *);")
local crypto = ffi.load("libcrypto.so.3")

local chunks = { C = C, BYTES = 1024 }

local earliest = -9223372036854775807LL - 1
local latest = 9223372036854775807LL

-- One writer for all specs: completed chunks come out of the callback in the list of the moment.
local completed
local complete = ffi.cast("void (*)(void *, const struct chunk_complete *)", function(_, chunk)
  completed[#completed + 1] = {
    encoding = tonumber(chunk.encoding), payload = ffi.string(chunk.payload, 1024),
    first = tonumber(chunk.first_ms), last = tonumber(chunk.last_ms),
  }
end)

function chunks.writer(mode, default)
  return ffi.new("struct chunk_writer", {
    default_encoding = default, mode = mode == "original" and C.CHUNK_ORIGINAL or C.CHUNK_EXACT,
    resize = C.chunk_resize_heap, complete = complete,
  })
end

function chunks.payload(head)
  local out = ffi.new("uint8_t[1024]")
  C.chunk_head_payload(head, out)
  return ffi.string(out, 1024)
end

local function described(head)
  return { encoding = head.encoding, payload = chunks.payload(head),
    first = tonumber(head.first_ms), last = tonumber(head.last_ms), open = true }
end

-- Appends samples (times[i], values[i] from 0 on, C arrays) to a head; returns the chunks that
-- came of it, the open one last, and the index of the sample that was refused, with the error.
function chunks.append(head, writer, times, values, count)
  local err = tide.error()
  local list, refused = {}, nil
  completed = list
  -- In C arrays throughout: a NaN would lose its payload as a number of Lua.
  local added = tonumber(C.chunk_head_append_all(head, writer, times, values, count, err))
  if added < count then refused = added end
  if head.used ~= 0 then list[#list + 1] = described(head) end
  return list, refused, refused and tide.text(err)
end
-- Callbacks must not be reached from compiled code.
jit.off(chunks.append)

function chunks.head(encoding)
  local head = ffi.new("struct chunk_head")
  C.chunk_head_init(head, encoding)
  return head
end

function chunks.write(times, values, count, encoding, default, mode)
  local head = chunks.head(encoding)
  local writer = chunks.writer(mode, default)
  local list, refused, text = chunks.append(head, writer, times, values, count)
  C.chunk_head_destroy(head, writer)
  return list, refused, text
end

-- All samples of a payload: C arrays, count; nil and the error's text. `room` of the arrays in
-- each read.
function chunks.read(encoding, bytes, from, to, room)
  local err = tide.error()
  local reader = ffi.new("struct chunk_reader")
  -- Exactly as long as it is: a read past the end is seen by the sanitizers.
  local data = ffi.cast("uint8_t *", C.mem_alloc(math.max(#bytes, 1)))
  ffi.copy(data, bytes, #bytes)
  local count, cap = 0, 4096
  local times, values = ffi.new("int64_t[?]", cap), ffi.new("double[?]", cap)
  local result = C.chunk_reader_init(reader, encoding, data, #bytes, from or earliest,
    to or latest, err)
  while result == 0 do
    room = room or 4096
    if cap - count < room then
      cap = cap * 2 + room
      local more_times, more_values = ffi.new("int64_t[?]", cap), ffi.new("double[?]", cap)
      ffi.copy(more_times, times, count * 8)
      ffi.copy(more_values, values, count * 8)
      times, values = more_times, more_values
    end
    local n = C.chunk_reader_read(reader, times + count, values + count, room, err)
    if n < 0 then result = -1 end
    if n <= 0 then break end
    count = count + n
  end
  C.mem_free(data)
  if result ~= 0 then return nil, tide.text(err), count end
  return times, values, count
end

function chunks.bits(values, i) return ffi.cast("uint64_t *", values)[i] end

-- Samples of a case of the vectors as C arrays.
function chunks.samples(case)
  local times, values = {}, {}
  if case.times.start then
    for i = 0, case.times.count - 1 do
      times[#times + 1] = case.times.start + i * case.times.step
    end
  else
    times = case.times
  end
  for _, item in ipairs(case.values) do
    if type(item) == "table" then
      for _ = 1, item[1] do values[#values + 1] = item[2] end
    else
      values[#values + 1] = item
    end
  end
  assert(#times == #values)
  local n = #times
  local ctimes, cvalues = ffi.new("int64_t[?]", n + 1), ffi.new("double[?]", n + 1)
  local bits = ffi.cast("uint64_t *", cvalues)
  for i = 1, n do
    ctimes[i - 1] = times[i]
    bits[i - 1] = tide.hex64(values[i])
  end
  return ctimes, cvalues, n
end

-- A payload from hex with its zeros cut off.
function chunks.padded(hex)
  local bytes = tide.unhex(hex)
  return bytes .. ("\0"):rep(1024 - #bytes)
end

function chunks.sha256(text)
  local out = ffi.new("unsigned char[32]")
  crypto.SHA256(text, #text, out)
  return tide.hex(ffi.string(out, 32))
end

-- The generator of chunks_seeded.json: C arrays and count.
function chunks.seeded(seed)
  local rshift, lshift, bxor = bit.rshift, bit.lshift, bit.bxor
  local state = seed + 0ULL
  local function following()
    state = state + 0x9E3779B97F4A7C15ULL
    local z = state
    z = bxor(z, rshift(z, 30)) * 0xBF58476D1CE4E5B9ULL
    z = bxor(z, rshift(z, 27)) * 0x94D049BB133111EBULL
    return bxor(z, rshift(z, 31))
  end
  local function under(n) return tonumber(following() % n) end
  local function unit() return tonumber(rshift(following(), 11)) / 9007199254740992.0 end
  local specials = {
    0x7ff8000000000001ULL, 0x7ff0000000000000ULL, 0xfff0000000000000ULL, 0x8000000000000000ULL,
    0x0000000000000000ULL, 0x3ff0000000000000ULL, 0xbff0000000000000ULL, 0x7fefffffffffffffULL,
    0x0000000000000001ULL, 0x7ff8000000000000ULL, 0xfff8000000000123ULL, 0x3fb999999999999aULL,
  }
  local t = 1500000000000LL + following() % 1000000
  local tm, vm = under(6), under(12)
  local iv = ({ 15000, 60000, 1000, 10000, 5, 300000 })[under(6) + 1]
  local n = 20 + under(1500)
  local count, hold = 0ULL, 0.5
  local times, values = ffi.new("int64_t[?]", n), ffi.new("double[?]", n)
  local bits = ffi.cast("uint64_t *", values)
  local as_float = ffi.new("float[1]")
  for i = 0, n - 1 do
    if i > 0 then
      local dt = iv + 0LL
      if tm == 1 then dt = iv + under(64) - 32LL end
      if tm == 2 and under(10) == 0 then dt = iv * (2LL + under(20)) end
      if tm == 3 then dt = under(100000) + 1LL end
      if tm == 4 and under(50) == 0 then dt = lshift(1LL, under(36)) end
      if tm == 5 and under(7) == 0 then dt = iv + under(3000) + 0LL end
      if dt < 1 then dt = 1LL end
      t = t + dt
    end
    times[i] = t
    if vm == 0 then
      values[i] = seed + 0.25
    elseif vm == 1 then
      values[i] = i
    elseif vm == 2 then
      count = count + following() % 1000
      values[i] = tonumber(count)
    elseif vm == 3 then
      local k = under(40)
      values[i] = tonumber(following() % lshift(1ULL, k)) - tonumber(lshift(1ULL, k) / 2)
    elseif vm == 4 then
      values[i] = unit()
    elseif vm == 5 then
      bits[i] = following()
    elseif vm == 6 then
      count = count + following() % 50
      if under(100) == 0 then count = 0ULL end
      values[i] = tonumber(count)
    elseif vm == 7 then
      as_float[0] = tonumber(rshift(following(), 40)) / 256.0
      values[i] = as_float[0]
    elseif vm == 8 then
      if under(20) == 0 then hold = unit() end
      values[i] = hold
    elseif vm == 9 then
      values[i] = i * 0.1
    elseif vm == 10 then
      bits[i] = specials[under(12) + 1]
    else
      count = count + following() % 4294967296ULL
      values[i] = 36028797018963968.0 + tonumber(count)
    end
  end
  return times, values, n
end

return chunks
