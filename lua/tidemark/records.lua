-- Settings that are lists of records: listeners, users, origins.
--
-- An operator writes them in the shortest form that says all (a text, a table, a list of either);
-- the checked form is a list of flat tables whose fields C stores (core/script/config_records.c).
-- Each reader gives that list, or nil, what is wrong, and where: "[2].tls".

local units = require "tidemark.units"

local find, format, gsub, lower, match, rep, sub = string.find, string.format, string.gsub,
  string.lower, string.match, string.rep, string.sub
local concat, sort = table.concat, table.sort

local records = {}

-- The numbers of C: enum config_auth, enum config_client_certificate; roles are bits.
local AUTH = { required = 1, none = 2 }
local CLIENT_CERTIFICATE = { required = 0, optional = 1 }
local ROLES = { "push", "read", "admin" }

local HASH_HELP = 'not a hash of a password (make one with "tidemark password")'
local TOKEN_MIN = 16

local function quote(text) return (gsub(format("%q", text), "\\\n", "\\n")) end

-- --- reading tables ------------------------------------------------------------------------------

-- A list of whatever was given; nil, problem when it has keys that are no positions.
local function list_of(value)
  if type(value) ~= "table" then return { value } end
  local count = 0
  for key in pairs(value) do
    if type(key) ~= "number" then return nil, "not a list" end
    count = count + 1
  end
  for i = 1, count do
    if value[i] == nil then return nil, "a list with holes" end
  end
  return value
end

-- That a table has no other fields than those of `allowed` (a list).
local function check_names(given, allowed, where)
  local names = {}
  for name in pairs(given) do names[#names + 1] = name end
  sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for _, name in ipairs(names) do
    local known = false
    for _, one in ipairs(allowed) do known = known or one == name end
    if not known then
      local near = type(name) == "string" and units.nearest(name, allowed)
      return nil, format("unknown key %s%s", type(name) == "string" and quote(name) or
        tostring(name), near and format(' (did you mean "%s"?)', near) or ""), where
    end
  end
  return true
end

local function text_field(given, name, where)
  local value = given[name]
  if value == nil then return "" end
  if type(value) ~= "string" or value == "" or find(value, "%c") then
    return nil, "not a text of visible characters", where .. "." .. name
  end
  return value
end

local function choice_field(given, name, choices, default, where)
  local value = given[name]
  if value == nil then return default end
  if choices[value] then return choices[value] end
  local words = {}
  for word in pairs(choices) do words[#words + 1] = word end
  sort(words)
  return nil, format('not one of "%s"', concat(words, '", "')), where .. "." .. name
end

-- Bits of a list of roles; `default` when there is none.
local function roles_field(given, default, where)
  if given.roles == nil then return default end
  local list, problem = list_of(given.roles)
  if not list then return nil, problem, where .. ".roles" end
  local bits = 0
  for _, role in ipairs(list) do
    local bit
    for i, name in ipairs(ROLES) do
      if name == role then bit = 2 ^ (i - 1) end
    end
    if not bit then
      return nil, format('not one of "%s"', concat(ROLES, '", "')), where .. ".roles"
    end
    if bits % (bit * 2) < bit then bits = bits + bit end
  end
  if bits == 0 then return nil, "empty (give at least one role)", where .. ".roles" end
  return bits
end

local function roles_source(bits)
  local list = {}
  for i, name in ipairs(ROLES) do
    if math.floor(bits / 2 ^ (i - 1)) % 2 == 1 then list[#list + 1] = quote(name) end
  end
  return "{ " .. concat(list, ", ") .. " }"
end

-- --- listeners -----------------------------------------------------------------------------------

local ADDRESS_HELP = 'not an address (try "127.0.0.1:9201", "[::1]:9201" or "unix:/path")'

local function is_address(text)
  if type(text) ~= "string" then return false end
  if match(text, "^unix:[^%z]+$") then return true end
  local host, port = match(text, "^(%[[%x:.%%%w]+%]):(%d+)$")
  if not host then host, port = match(text, "^([%w.%-_]*):(%d+)$") end
  return host ~= nil and #port <= 5 and tonumber(port) <= 65535
end

local function plain_listener(address)
  return { address = address, certificate = "", key = "", client_ca = "", client_certificate = 0,
    auth = 0, roles = 0 }
end

local function tls_of(tls, record, where)
  if type(tls) ~= "table" then return nil, "not a table", where end
  local names = { "certificate", "key", "client_ca", "client_certificate" }
  local ok, problem, place = check_names(tls, names, where)
  for i = 1, 3 do
    if not ok then return nil, problem, place end
    ok, problem, place = text_field(tls, names[i], where)
    record[names[i]] = ok
  end
  if not ok then return nil, problem, place end
  ok, problem, place = choice_field(tls, "client_certificate", CLIENT_CERTIFICATE, 0, where)
  if not ok then return nil, problem, place end
  record.client_certificate = ok
  if record.certificate == "" or record.key == "" then
    return nil, "certificate and key are needed", where
  elseif tls.client_certificate and record.client_ca == "" then
    return nil, "client_certificate needs client_ca", where
  end
  return true
end

local function listener_of(given, where)
  local ok, problem, place = check_names(given, { "address", "tls", "auth", "roles" }, where)
  if not ok then return nil, problem, place end
  if not is_address(given.address) then
    return nil, (given.address == nil and "the address is missing" or ADDRESS_HELP),
      where .. ".address"
  end
  local record = plain_listener(given.address)
  if given.tls ~= nil then
    ok, problem, place = tls_of(given.tls, record, where .. ".tls")
    if not ok then return nil, problem, place end
  end
  record.auth, problem, place = choice_field(given, "auth", AUTH, 0, where)
  if not record.auth then return nil, problem, place end
  record.roles, problem, place = roles_field(given, 0, where)
  if not record.roles then return nil, problem, place end
  return record
end

--- One address, one table, or a list of either.
---@param shown function how a value is shown in messages
function records.listeners(value, shown)
  if type(value) == "table" and value.address ~= nil then value = { value } end
  local list, problem = list_of(value)
  if not list then return nil, problem end
  if #list == 0 then return nil, "empty (give at least one address)" end
  local result = {}
  for i, given in ipairs(list) do
    local place
    if type(given) == "table" then
      result[i], problem, place = listener_of(given, format("[%d]", i))
      if not result[i] then return nil, problem, place end
    elseif is_address(given) then
      result[i] = plain_listener(given)
    else
      return nil, (type(value) == "table" and shown(given) .. " is " or "") .. ADDRESS_HELP
    end
  end
  return result
end

local function listener_source(record)
  local tls = {}
  for _, name in ipairs { "certificate", "key", "client_ca" } do
    if record[name] ~= "" then tls[#tls + 1] = name .. " = " .. quote(record[name]) end
  end
  if record.client_certificate == 1 then tls[#tls + 1] = 'client_certificate = "optional"' end
  local out = { "address = " .. quote(record.address) }
  if #tls > 0 then out[#out + 1] = "tls = { " .. concat(tls, ", ") .. " }" end
  for word, number in pairs(AUTH) do
    if record.auth == number then out[#out + 1] = "auth = " .. quote(word) end
  end
  if record.roles > 0 then out[#out + 1] = "roles = " .. roles_source(record.roles) end
  return #out == 1 and quote(record.address) or "{ " .. concat(out, ", ") .. " }"
end

function records.listeners_source(list)
  local out = {}
  for i, record in ipairs(list) do out[i] = listener_source(record) end
  return #out == 1 and out[1] or "{ " .. concat(out, ", ") .. " }"
end

-- --- users ---------------------------------------------------------------------------------------

local SECRETS = { "password", "password_file", "token", "token_file" }

-- Hashes that crypt(3) knows and that are slow enough: bcrypt, SHA-512, yescrypt.
local function is_hash(text)
  return match(text, "^%$2[aby]%$%d%d%$[%w./]+$") and #text == 60 or
    match(text, "^%$6%$[^%c:]+%$[%w./]+$") or match(text, "^%$y%$[^%c:]+%$[%w./]+$")
end

local function check_secret(record, where)
  local count = 0
  for _, name in ipairs(SECRETS) do
    if record[name] ~= "" then count = count + 1 end
  end
  if count ~= 1 then return nil, "needs one of " .. concat(SECRETS, ", "), where end
  if record.password ~= "" and not is_hash(record.password) then
    return nil, HASH_HELP, where .. ".password"
  end
  local token = record.token
  local digest = match(token, "^sha256:(.*)$")
  if digest and not match(digest, "^" .. rep("%x", 64) .. "$") then
    return nil, "sha256: wants 64 hexadecimal digits", where .. ".token"
  elseif token ~= "" and #token < TOKEN_MIN then
    return nil, format("too short (at least %d characters)", TOKEN_MIN), where .. ".token"
  end
  return true
end

local function user_of(given, where)
  if type(given) ~= "table" then return nil, "not a table", where end
  local texts = { "user", "tenant", SECRETS[1], SECRETS[2], SECRETS[3], SECRETS[4] }
  local ok, problem, place = check_names(given, { "user", "tenant", "roles", SECRETS[1],
    SECRETS[2], SECRETS[3], SECRETS[4] }, where)
  if not ok then return nil, problem, place end
  local record = {}
  for _, name in ipairs(texts) do
    record[name], problem, place = text_field(given, name, where)
    if not record[name] then return nil, problem, place end
  end
  if record.user == "" then return nil, "user is missing", where end
  if find(record.user, ":", 1, true) then
    return nil, "has a colon, which ends a name", where .. ".user"
  end
  ok, problem, place = check_secret(record, where)
  if not ok then return nil, problem, place end
  if given.roles == nil then return nil, "roles are missing", where end
  record.roles, problem, place = roles_field(given, 0, where)
  if not record.roles then return nil, problem, place end
  if record.tenant == "" then record.tenant = record.user end
  return record
end

--- A list of credentials.
function records.users(value)
  if type(value) ~= "table" then return nil, "not a list of tables" end
  local list, problem = list_of(value)
  if not list then return nil, problem end
  local result, passwords = {}, {}
  for i, given in ipairs(list) do
    local place
    result[i], problem, place = user_of(given, format("[%d]", i))
    if not result[i] then return nil, problem, place end
    if result[i].password .. result[i].password_file ~= "" then
      if passwords[result[i].user] then
        return nil, "has a password already", format("[%d].user", i)
      end
      passwords[result[i].user] = true
    end
  end
  return result
end

--- Without the secrets: a configuration is shown to people and pages.
function records.users_source(list)
  local out = {}
  for i, record in ipairs(list) do
    local parts = { "user = " .. quote(record.user) }
    for _, name in ipairs(SECRETS) do
      if record[name] ~= "" then
        local hidden = name == "password" or name == "token"
        parts[#parts + 1] = name .. " = " .. quote(hidden and "(hidden)" or record[name])
      end
    end
    parts[#parts + 1] = "roles = " .. roles_source(record.roles)
    if record.tenant ~= record.user then
      parts[#parts + 1] = "tenant = " .. quote(record.tenant)
    end
    out[i] = "{ " .. concat(parts, ", ") .. " }"
  end
  return #out == 0 and "{}" or "{ " .. concat(out, ", ") .. " }"
end

-- --- origins -------------------------------------------------------------------------------------

-- "*", "null", SCHEME://HOST[:PORT] where HOST may begin with "*."
local function is_origin(text)
  if text == "*" or text == "null" then return true end
  if type(text) ~= "string" or text ~= lower(text) then return false end
  local host = match(text, "^https?://(.+)$") or match(text, "^[%a][%w+.%-]*://(.+)$")
  if not host then return false end
  local bare = match(host, "^(.-):%d+$") or host
  if sub(bare, 1, 2) == "*." then bare = sub(bare, 3) end
  return match(bare, "^%[[%x:.]+%]$") ~= nil or match(bare, "^[%w.%-_]+$") ~= nil
end

--- One origin or a list.
function records.origins(value, shown)
  local list, problem = list_of(value)
  if not list then return nil, problem end
  local result = {}
  for i, text in ipairs(list) do
    if not is_origin(text) then
      return nil, (type(value) == "table" and shown(text) .. " is " or "") ..
        'not an origin (try "https://grafana.example", "https://*.example:3000" or "*")'
    end
    result[i] = { text = text }
  end
  return result
end

function records.origins_source(list)
  local out = {}
  for i, record in ipairs(list) do out[i] = quote(record.text) end
  return #out == 1 and out[1] or #out == 0 and "{}" or "{ " .. concat(out, ", ") .. " }"
end

return records
