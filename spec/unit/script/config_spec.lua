-- config.lua and flags: what is accepted, what is refused, and on which line.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("base/buf.h", "script/config.h")

local records = { listeners = true, users = true, origins = true }

local function temporary(text)
  local path = os.tmpname() .. ".lua"
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  finally(function() os.remove(path) end)
  return path
end

-- The configuration of a source text, destroyed when the spec ends; or nil and the error, in which
-- the file is called FILE.
local function load(text)
  local path = temporary(text)
  local config, err = ffi.gc(ffi.new("struct config"), C.config_destroy), tide.error()
  if C.config_load(path, config, err) == 0 then return config, path end
  return nil, (tide.text(err):gsub(path:gsub("%p", "%%%0"), "FILE"))
end

local function defaults()
  local config, err = ffi.gc(ffi.new("struct config"), C.config_destroy), tide.error()
  assert(C.config_load(nil, config, err) == 0, tide.text(err))
  return config
end

local function printed(config)
  local buf = ffi.new("struct buf")
  C.config_print(config, buf)
  local text = ffi.string(buf.data, buf.len)
  C.buf_destroy(buf)
  return text
end

local function set(config, flag, key, text)
  local err = tide.error()
  if C.config_set(config, flag, key, text, err) == 0 then return true end
  return nil, tide.text(err)
end

describe("configuration defaults", function()
  it("are those of the documents", function()
    local config = defaults()
    assert.equal(1, tonumber(config.listen_count))
    assert.equal("127.0.0.1:9201", ffi.string(config.listen[0].address))
    assert.equal("./data", ffi.string(config.data))
    assert.equal("", ffi.string(config.scripts))
    assert.equal(2, tonumber(config.log_level)) -- LOG_LEVEL_INFO
    assert.equal(360 * 3600 * 1000, tonumber(config.storage.retention_ms))
    assert.equal(2, tonumber(config.storage.chunk_encoding))
    assert.equal(1800000, tonumber(config.storage.out_of_order_ms))
    assert.equal(ffi.C.CONFIG_DUPLICATES_LAST, tonumber(config.storage.duplicates))
    assert.equal(3600000, tonumber(config.storage.head_chunk_timeout_ms))
    assert.equal(300000, tonumber(config.storage.checkpoint_interval_ms))
    assert.equal(5000, tonumber(config.storage.checkpoint_dirty_series_limit))
    assert.equal(ffi.C.CONFIG_SYNC_ADAPTIVE, tonumber(config.storage.series_sync))
    assert.equal(0.1, config.storage.min_shrink_ratio)
    assert.equal(2147483648, tonumber(config.storage.memory_target_bytes))
    assert.equal(120000, tonumber(config.query.timeout_ms))
    assert.equal(50000000, tonumber(config.query.max_samples))
    assert.equal(11000, tonumber(config.query.max_points))
    assert.equal(20, tonumber(config.query.concurrency))
    assert.equal(300000, tonumber(config.query.lookback_ms))
    assert.equal(600000, tonumber(config.limits.future_ms))
    assert.equal(512, tonumber(config.http.connections))
  end)

  it("are what an empty table means", function()
    local a, b = defaults(), load("return {}")
    assert.equal(printed(a), printed(b))
  end)
end)

describe("config.lua", function()
  it("sets every kind of value", function()
    local config = load [[
      local days = 3
      return {
        listen = { "[::1]:9201", "unix:/tmp/t.sock", ":0" },
        data = "/var/lib/tidemark",
        log = { level = "debug", format = "json" },
        storage = {
          retention = days .. "d12h",
          chunk_encoding = "double-delta",
          min_shrink_ratio = 1,
          memory_target = 1.5 * 1024 * 1024,
          series_sync = "never",
        },
        http = { max_body = "10MB" },
      }]]
    assert.equal(3, tonumber(config.listen_count))
    assert.equal("unix:/tmp/t.sock", ffi.string(config.listen[1].address))
    assert.equal("/var/lib/tidemark", ffi.string(config.data))
    assert.equal(3, tonumber(config.log_level))
    assert.equal(1, tonumber(config.log_format))
    assert.equal(84 * 3600000, tonumber(config.storage.retention_ms))
    assert.equal(ffi.C.CONFIG_CHUNK_DOUBLE_DELTA, tonumber(config.storage.chunk_encoding))
    assert.equal(1, config.storage.min_shrink_ratio)
    assert.equal(1572864, tonumber(config.storage.memory_target_bytes))
    assert.equal(ffi.C.CONFIG_SYNC_NEVER, tonumber(config.storage.series_sync))
    assert.equal(10000000, tonumber(config.http.body_bytes))
  end)

  it("takes listeners that say more than an address", function()
    local config = load [[return { listen = { ":1", { address = "[::1]:2", auth = "none",
      tls = { certificate = "c.pem", key = "k.pem", client_ca = "a.pem",
        client_certificate = "optional" }, roles = { "push", "read" } } } }]]
    assert.equal(2, tonumber(config.listen_count))
    local plain, rich = config.listen[0], config.listen[1]
    assert.same({ ":1", "", "", 0, 0 }, { ffi.string(plain.address), ffi.string(plain.certificate),
      ffi.string(plain.client_ca), tonumber(plain.auth), tonumber(plain.roles) })
    assert.same({ "[::1]:2", "c.pem", "k.pem", "a.pem" }, { ffi.string(rich.address),
      ffi.string(rich.certificate), ffi.string(rich.key), ffi.string(rich.client_ca) })
    assert.equal(ffi.C.CONFIG_CLIENT_OPTIONAL, tonumber(rich.client_certificate))
    assert.equal(ffi.C.CONFIG_AUTH_NONE, tonumber(rich.auth))
    assert.equal(3, tonumber(rich.roles))
    assert.truthy(printed(config):find('listen = { ":1", { address = "[::1]:2", tls = { ' ..
      'certificate = "c.pem", key = "k.pem", client_ca = "a.pem", client_certificate = ' ..
      '"optional" }, auth = "none", roles = { "push", "read" } } }', 1, true))
  end)

  it("takes users, and shows their secrets to nobody", function()
    local hash = "$2y$10$" .. ("a"):rep(53)
    local config = load(([[return { http = { users = {
      { user = "ann", password = "%s", roles = "read" },
      { user = "bob", token = "0123456789abcdef", roles = { "admin", "push" }, tenant = "web" },
      { user = "ann", token_file = "/t", roles = { "push", "push" } },
    }, cors_origins = { "https://a.example", "*" } } }]]):format(hash))
    assert.equal(3, tonumber(config.http.users_count))
    local function user(i)
      local one = config.http.users[i]
      return { ffi.string(one.user), ffi.string(one.tenant), ffi.string(one.password),
        ffi.string(one.token), ffi.string(one.token_file), tonumber(one.roles) }
    end
    assert.same({ "ann", "ann", hash, "", "", 2 }, user(0))
    assert.same({ "bob", "web", "", "0123456789abcdef", "", 5 }, user(1))
    assert.same({ "ann", "ann", "", "", "/t", 1 }, user(2))
    assert.equal("https://a.example", ffi.string(config.http.cors_origins[0].text))
    local text = printed(config)
    assert.falsy(text:find("aaaa", 1, true) or text:find("0123456789", 1, true))
    assert.truthy(text:find('{ user = "bob", token = "(hidden)", roles = { "push", "admin" }, ' ..
      'tenant = "web" }', 1, true))
  end)

  it("takes forever for the retention and nothing else", function()
    assert.equal(9223372036854775807LL,
      load('return { storage = { retention = "forever" } }').storage.retention_ms)
    local _, problem = load('return { query = { timeout = "forever" } }')
    assert.equal('FILE:1: query.timeout "forever": not a duration (try "2m")', problem)
  end)

  local refused = {
    { 'return { storage = { retention = "15x" } }',
      'FILE:1: storage.retention "15x": not a duration (try "15d" or "forever")' },
    { 'return { storage = { retention = 15 } }',
      'FILE:1: storage.retention 15: not a duration (try "15s" or "forever")' },
    { 'return {\n storage = {\n  retention = 0,\n },\n}',
      'FILE:3: storage.retention 0: not a duration (try "15d" or "forever")' },
    { 'return { storage = { retention = "0s" } }',
      'FILE:1: storage.retention "0s": too small (at least 1s)' },
    { 'return { storage = { retention = "1d2y" } }',
      'FILE:1: storage.retention "1d2y": not a duration (try "15d" or "forever")' },
    { 'return { storage = { retenton = "15d" } }',
      'FILE:1: storage.retenton: unknown key (did you mean "storage.retention"?)' },
    { '\n\nreturn { retention = "15d" }',
      'FILE:3: retention: not a table but "15d" (did you mean "storage.retention"?)' },
    { 'return { stroage = {} }', 'FILE:1: stroage: unknown key (did you mean "storage"?)' },
    { 'return { quux = 1 }', "FILE:1: quux: unknown key" },
    { 'return { storage = { min_shrink_ratio = 1.01 } }',
      "FILE:1: storage.min_shrink_ratio 1.01: too large (at most 1)" },
    { 'return { storage = { min_shrink_ratio = 0/0 } }',
      "FILE:1: storage.min_shrink_ratio nan: not a number" },
    { 'return { storage = { memory_target = "12 parsecs" } }',
      'FILE:1: storage.memory_target "12 parsecs": not a size (try "2GiB")' },
    { 'return { storage = { memory_target = "1KiB" } }',
      'FILE:1: storage.memory_target "1KiB": too small (at least 1MiB)' },
    { 'return { storage = { chunk_encoding = "varbits" } }',
      'FILE:1: storage.chunk_encoding "varbits": not one of "delta", "double-delta", "varbit" ' ..
      '(did you mean "varbit"?)' },
    { 'return { query = { max_samples = 1.5 } }',
      "FILE:1: query.max_samples 1.5: not a whole number" },
    { 'return { query = { max_samples = "many" } }',
      'FILE:1: query.max_samples "many": not a number' },
    { 'return { listen = "localhost" }',
      'FILE:1: listen "localhost": not an address (try "127.0.0.1:9201", "[::1]:9201" or ' ..
      '"unix:/path")' },
    { 'return { listen = { "localhost:1", "localhost:65536" } }',
      'FILE:1: listen a table: "localhost:65536" is not an address (try "127.0.0.1:9201", ' ..
      '"[::1]:9201" or "unix:/path")' },
    { 'return {\nlisten = { ":1",\n{ address = ":2",\ntls = { certificate = "c" } } } }',
      "FILE:4: listen[2].tls: certificate and key are needed" },
    { 'return { listen = { { address = ":2", tls = { certifcate = "c" } } } }',
      'FILE:1: listen[1].tls: unknown key "certifcate" (did you mean "certificate"?)' },
    { 'return { listen = { address = 7 } }', 'FILE:1: listen[1].address: not an address (try ' ..
      '"127.0.0.1:9201", "[::1]:9201" or "unix:/path")' },
    { 'return { listen = { address = ":1", roles = "reader" } }',
      'FILE:1: listen[1].roles: not one of "push", "read", "admin"' },
    { 'return { http = { users = { { user = "a", password = "secret", roles = "read" } } } }',
      'FILE:1: http.users[1].password: not a hash of a password (make one with "tidemark ' ..
      'password")' },
    { 'return { http = { users = { { user = "a", token = "short", roles = "read" } } } }',
      "FILE:1: http.users[1].token: too short (at least 16 characters)" },
    { 'return { http = { users = { { user = "a", roles = "read" } } } }',
      "FILE:1: http.users[1]: needs one of password, password_file, token, token_file" },
    { 'return { http = { users = { { user = "a", token_file = "f" } } } }',
      "FILE:1: http.users[1]: roles are missing" },
    { 'return { http = { users = { { user = "a:b", token_file = "f", roles = "read" } } } }',
      "FILE:1: http.users[1].user: has a colon, which ends a name" },
    { 'return { http = { users = { { user = "a", password_file = "f", roles = "read" },\n' ..
      '{ user = "a", password_file = "g", roles = "push" } } } }',
      "FILE:2: http.users[2].user: has a password already" },
    { 'return { http = { cors_origins = "grafana.example" } }',
      'FILE:1: http.cors_origins "grafana.example": not an origin (try ' ..
      '"https://grafana.example", "https://*.example:3000" or "*")' },
    { 'return { listen = {} }', "FILE:1: listen a table: empty (give at least one address)" },
    { 'return { data = 7 }', "FILE:1: data 7: not a text" },
    { 'return { storage = "15d" }',
      'FILE:1: storage: not a table but "15d" (try storage = { retention = ... })' },
    { 'return { "15d" }', 'FILE:1: config "15d": a value without a name' },
    { 'return 5', "FILE:1: returns 5, not a table of settings" },
    { "local x = 1\n", "FILE:2: returns nothing, not a table of settings" },
    { "return {\n  data = ,\n}", "FILE:2: unexpected symbol near ','" },
    { "local a = {}\nlocal b = a.b.c\nreturn {}",
      "FILE:2: attempt to index field 'b' (a nil value)" },
    { 'local t = io.open("/etc/passwd")', "FILE:1: unknown name 'io'" },
    { 'return { data = os.getenv("HOME") }', "FILE:1: unknown name 'os'" },
    { 'require "ffi"', "FILE:1: unknown name 'require'" },
    { "x = 1", "FILE:1: cannot set the global 'x': write local in front of it" },
    { "\27LJ\2", "FILE: bytecode, not the text of a script" },
    { "while true do end", "FILE: ran longer than its time limit" },
    { "local t = {} for i = 1, 1e9 do t[i] = { i } end",
      "FILE: used more than its 65536 KiB of memory" },
  }
  for i, case in ipairs(refused) do
    it("is refused in case " .. i .. ": " .. case[2]:gsub("FILE:?", ""), function()
      local config, problem = load(case[1])
      assert.is_nil(config)
      assert.equal(case[2], problem)
    end)
  end

  it("tells all mistakes, in order of lines", function()
    local _, problem = load [[
return {
  lisen = "127.0.0.1:1",
  storage = {
    retention = "2 weeks",
    -- a comment with retention = "x", and { an open brace
    text = [==[ } ]==],
  },
  query = { timeout = -1, ["lookback"] = "x" },
}]]
    assert.equal(table.concat({
      'FILE:2: lisen: unknown key (did you mean "listen"?)',
      'FILE:4: storage.retention "2 weeks": not a duration (try "15d" or "forever")',
      "FILE:6: storage.text: unknown key",
      'FILE:8: query.lookback "x": not a duration (try "5m")',
      'FILE:8: query.timeout -1: not a duration (try "2m")',
    }, "\n"), problem)
  end)

  it("finds lines through variables, assignments and functions", function()
    local _, problem = load [[
local function keep()
  return "15x", { retention = 1 }
end
local limits = {
  series = "many",
}
local config = { limits = limits }
config.storage = {}
config.storage.retention = keep()
config.http = {
  workers = (function() return { 1 } end)(),

  connections = "x" }
config["log"] = { level = 1 }
for i = 1, 2 do if i then break end end
return config]]
    assert.equal(table.concat({
      'FILE:5: limits.series "many": not a number',
      'FILE:9: storage.retention "15x": not a duration (try "15d" or "forever")',
      "FILE:11: http.workers a table: not a number",
      'FILE:13: http.connections "x": not a number',
      'FILE:14: log.level 1: not one of "error", "warn", "info", "debug"',
    }, "\n"), problem)
  end)

  it("names the file that is not there", function()
    local err = tide.error()
    assert.equal(-1, C.config_load("/nonexistent/config.lua", ffi.new("struct config"), err))
    assert.equal("cannot read the configuration /nonexistent/config.lua: " ..
      "No such file or directory", tide.text(err))
    assert.equal(ffi.C.ERR_IO, err.code)
  end)
end)

describe("flags", function()
  it("win over the file", function()
    local config = load 'return { data = "a", storage = { retention = "1h" } }'
    assert.is_true(set(config, "--data", "data", "b"))
    assert.is_true(set(config, "--set", "storage.retention", "forever"))
    assert.is_true(set(config, "--set", "query.max_samples", "1000"))
    assert.is_true(set(config, "--set", "storage.memory_target", "3MiB"))
    assert.equal("b", ffi.string(config.data))
    assert.equal(9223372036854775807LL, config.storage.retention_ms)
    assert.equal(1000, tonumber(config.query.max_samples))
    assert.equal(3145728, tonumber(config.storage.memory_target_bytes))
  end)

  it("replace the file's listeners once and then add", function()
    local config = load 'return { listen = { "h:1", "h:2" } }'
    assert.is_true(set(config, "--listen", "listen", "h:3"))
    assert.is_true(set(config, "--listen", "listen", "unix:/s"))
    assert.equal(2, tonumber(config.listen_count))
    assert.equal("h:3", ffi.string(config.listen[0].address))
    assert.equal("unix:/s", ffi.string(config.listen[1].address))
  end)

  it("are refused with what is wrong and change nothing", function()
    local config = defaults()
    local before = printed(config)
    assert.same({ nil, '--set storage.retention "15x": not a duration (try "15d" or "forever")' },
      { set(config, "--set", "storage.retention", "15x") })
    assert.same({ nil, '--listen listen "here": not an address (try "127.0.0.1:9201", ' ..
      '"[::1]:9201" or "unix:/path")' }, { set(config, "--listen", "listen", "here") })
    assert.same({ nil, '--set storage.retentoin: unknown key (did you mean "storage.retention"?)' },
      { set(config, "--set", "storage.retentoin", "15d") })
    assert.equal(before, printed(config))
  end)
end)

describe("config --print", function()
  it("is a config.lua that means the same, with origins", function()
    local config, name = load [[return {
  listen = { "h:1", "unix:/a \"b\"\n" },
  storage = { retention = "forever",
    memory_target = 1234567, min_shrink_ratio = 0.3 },
  limits = { future = "1h30m5s7ms" },
}]]
    assert(set(config, "--data", "data", "somewhere"))
    local text = printed(config)
    local function has(part) assert.is_truthy(text:find(part, 1, true), part .. "\n" .. text) end
    has('listen = { "h:1", "unix:/a \\"b\\"\\n" }, -- ' .. name .. ":2\n")
    has('data = "somewhere", -- --data\n')
    has('retention = "forever", -- ' .. name .. ":3\n")
    has("memory_target = 1234567, -- " .. name .. ":4\n")
    has('future = "1h30m5s7ms", -- ' .. name .. ":5\n")
    has('chunk_encoding = "varbit", -- default\n')
    local again = assert(load(text))
    local function values(printout) return (printout:gsub(",? %-%- [^\n]*", "")) end
    assert.equal(values(text), values(printed(again)))
  end)
end)

describe("the schema", function()
  local config = require "tidemark.config"
  local units = require "tidemark.units"

  local read = require("spec.support.file").read

  it("is what the example config.lua and the document were made from (make docs)", function()
    assert.equal(config.example(), read("config.lua"))
    assert.equal(config.document(), read("docs/configuration.md"))
  end)

  it("has defaults in the example that mean the defaults", function()
    local plain = read("config.lua"):gsub("%-%- ([%a_]+ = )", "%1")
    local function values(text) return (text:gsub(" %-%- [^\n]*", "")) end
    assert.equal(values(printed(defaults())), values(printed(assert(load(plain)))))
  end)

  it("bounds every number and explains every key", function()
    for _, key in ipairs(config.keys) do
      assert.is_true(#key.text > 20, key.name)
      if key.type ~= "path" and key.type ~= "choice" and not records[key.type] then
        assert.is_truthy(key.min and key.max, key.name)
      end
      assert(config.convert(key, key.default))
    end
  end)

  it("reads durations as Prometheus does, and writes them back", function()
    local known = { ["15d"] = 1296000000, ["1h30m"] = 5400000, ["500ms"] = 500,
      ["1y"] = 31536000000, ["2w"] = 1209600000, ["1.5h"] = 5400000, ["0"] = 0,
      ["1m30s5ms"] = 90005 }
    for text, ms in pairs(known) do
      assert.equal(ms, units.duration(text), text)
      assert.equal(ms, units.duration(units.duration_text(ms)), text)
    end
    for _, text in ipairs { "", "d", "15", "-1d", "1m1h", "1d1d", "1 d", "1e3s", "1D", "forever",
      "999999999999y" } do
      assert.is_nil(units.duration(text), text)
    end
    assert.equal("15d", units.duration_text(1296000000))
    assert.equal("1h30m", units.duration_text(5400000))
  end)

  it("reads sizes, and writes them back", function()
    local known = { ["2GiB"] = 2147483648, ["64KiB"] = 65536, ["10MB"] = 1e7, ["1.5MiB"] = 1572864,
      ["7"] = 7, ["7B"] = 7, ["3kB"] = 3000, ["1 TiB"] = 1099511627776 }
    for text, bytes in pairs(known) do
      assert.equal(bytes, units.size(text), text)
      assert.equal(bytes, units.size(units.size_text(bytes)), text)
    end
    for _, text in ipairs { "", "GiB", "-1", "1.5", "1gib", "9999999PiB", "0x10" } do
      assert.is_nil(units.size(text), text)
    end
  end)

  it("does not print passwords of URLs", function()
    local pipe = io.popen("env -u LD_PRELOAD " .. (os.getenv("BUILD") or "build") ..
      "/tidemark config --print --set alerts.webhooks=http://me:secret@a/x,http://b:1/y")
    local text = pipe:read("*a")
    pipe:close()
    assert.is_truthy(text:find('webhooks = "http://a/x,http://b:1/y"', 1, true), text)
    assert.is_nil(text:find("secret", 1, true))
  end)
end)
