-- A LevelDB folder read through the library itself, not through the server's C code: all keys and
-- values of a copy, so that the folder stays as it is.
local ffi = require "ffi"

ffi.cdef [[
  typedef struct leveldb_t leveldb_t;
  typedef struct leveldb_options_t leveldb_options_t;
  typedef struct leveldb_readoptions_t leveldb_readoptions_t;
  typedef struct leveldb_iterator_t leveldb_iterator_t;
  leveldb_options_t *leveldb_options_create(void);
  void leveldb_options_destroy(leveldb_options_t *);
  void leveldb_options_set_paranoid_checks(leveldb_options_t *, unsigned char);
  leveldb_t *leveldb_open(const leveldb_options_t *, const char *name, char **errptr);
  void leveldb_close(leveldb_t *);
  leveldb_readoptions_t *leveldb_readoptions_create(void);
  void leveldb_readoptions_destroy(leveldb_readoptions_t *);
  void leveldb_readoptions_set_verify_checksums(leveldb_readoptions_t *, unsigned char);
  leveldb_iterator_t *leveldb_create_iterator(leveldb_t *, const leveldb_readoptions_t *);
  void leveldb_iter_destroy(leveldb_iterator_t *);
  unsigned char leveldb_iter_valid(const leveldb_iterator_t *);
  void leveldb_iter_seek_to_first(leveldb_iterator_t *);
  void leveldb_iter_next(leveldb_iterator_t *);
  const char *leveldb_iter_key(const leveldb_iterator_t *, size_t *len);
  const char *leveldb_iter_value(const leveldb_iterator_t *, size_t *len);
  void leveldb_iter_get_error(const leveldb_iterator_t *, char **errptr);
]]

local lib = ffi.load "libleveldb.so.1d"
local leveldb = {}

local function text_of(read, iterator)
  local len = ffi.new("size_t[1]")
  local bytes = read(iterator, len)
  return ffi.string(bytes, len[0])
end

-- A list of { key, value } in order; an error when anything cannot be read.
function leveldb.read(folder)
  local copy = os.tmpname()
  os.remove(copy)
  assert(os.execute(("cp -r '%s' %s"):format(folder, copy)) == 0, folder)
  local problem = ffi.new("char *[1]")
  local options, read = lib.leveldb_options_create(), lib.leveldb_readoptions_create()
  lib.leveldb_options_set_paranoid_checks(options, 1)
  lib.leveldb_readoptions_set_verify_checksums(read, 1)
  local db = lib.leveldb_open(options, copy, problem)
  local entries = {}
  if problem[0] == nil then
    local iterator = lib.leveldb_create_iterator(db, read)
    lib.leveldb_iter_seek_to_first(iterator)
    while lib.leveldb_iter_valid(iterator) ~= 0 do
      entries[#entries + 1] = { text_of(lib.leveldb_iter_key, iterator),
        text_of(lib.leveldb_iter_value, iterator) }
      lib.leveldb_iter_next(iterator)
    end
    lib.leveldb_iter_get_error(iterator, problem)
    lib.leveldb_iter_destroy(iterator)
    lib.leveldb_close(db)
  end
  lib.leveldb_options_destroy(options)
  lib.leveldb_readoptions_destroy(read)
  os.execute("rm -rf " .. copy)
  assert(problem[0] == nil, folder .. ": " .. (problem[0] ~= nil and ffi.string(problem[0]) or ""))
  return entries
end

return leveldb
